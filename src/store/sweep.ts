// Housekeeping: deletes expired sessions, memberships that have ended, return addresses of old sign-ins and audit rows
// past their retention, in batches, on one replica at a time.
import { sql } from 'drizzle-orm'
import { FORM_KEPT_MS } from '../core/admin-forms.js'
import { ADMIN_IDLE_MS, ADMIN_LIFETIME_MS } from '../core/admin-session.js'
import { DRAFT_KEPT_DAYS } from '../core/policy-draft.js'
import type { SessionTimeouts } from '../core/session.js'
import { dropExpiredReviews } from './access-reviews.js'
import type { Database, Transaction } from './database.js'
import { IS_DELIVERED } from './audit-export-queue.js'
import { HOUSEKEEPING, keptToTheRow, OUTSIDE_OF_MONTHS } from './audit-months.js'
import { recordEndedMemberships } from './ended-memberships.js'
import { ago } from './intervals.js'
import { dropSampled } from './request-sample.js'

export interface SweepOptions extends SessionTimeouts {
  readonly retentionMs: number
  /** False: what is kept for months is not deleted (retention-clock.ts). */
  readonly isClockConfirmed: boolean
  /** Whether rows of the audit stay until they are exported (audit-export-queue.ts). */
  readonly isExported: boolean
}

const BATCH = 1_000
const LOCK = sql`pg_try_advisory_xact_lock(hashtextextended('gatehouse sweep', 0))`

/** @returns the number of deleted rows; undefined where another replica is sweeping */
export async function sweep(
  database: Database,
  { idleTimeoutMs, absoluteTimeoutMs, retentionMs, isClockConfirmed, isExported }: SweepOptions,
): Promise<{ sessions: number, memberships: number, audit: number } | undefined> {
  const removed = { sessions: 0, memberships: 0, audit: 0 }
  for (;;) {
    const batch = await database.transaction(async (tx) => {
      const { rows: [lock] } = await tx.execute<{ mine: boolean }>(sql`select ${LOCK} as mine`)
      if (!lock?.mine) return undefined
      const sessions = await tx.execute(sql`delete from sessions where id_hash in (
        select id_hash from sessions where created_at < ${ago(absoluteTimeoutMs)} or last_seen_at < ${
        ago(idleTimeoutMs)
      } limit ${BATCH} for update skip locked)`)
      const memberships = await recordEndedMemberships(tx, { limit: BATCH })
      // Few at any time (long-returns.ts). A request that keeps another one removes them too; there may be none for
      // long.
      // guard: adv-long-returns-swept
      await tx.execute(sql`delete from long_returns where kept_at < now() - interval '10 minutes'`)
      // guard: admin-swept
      await tx.execute(sql`delete from admin_sessions a where a.last_seen_at < ${ago(ADMIN_IDLE_MS)}
        or a.created_at < ${ago(ADMIN_LIFETIME_MS)}
        or not exists (select from sessions s where s.public_id = a.session_id)`)
      // guard: act-forms-swept
      await tx.execute(sql`delete from admin_forms f where f.kept_at < ${ago(FORM_KEPT_MS)}
        or not exists (select from admin_sessions a where a.id = f.admin_session)`)
      // guard: policy-previews-swept
      await tx.execute(sql`delete from policy_previews where written_at < now() - interval '1 hour'`)
      await dropSampled(tx) // guard: policy-sample-swept
      // of processes that have ended
      await tx.execute(sql`delete from replicas where heartbeat_at < now() - interval '1 day'`)
      const audit = isClockConfirmed ? await deleteExpired(tx, retentionMs, isExported) : 0 // guard: audit-clock-rows
      return { sessions: sessions.rowCount ?? 0, memberships, audit }
    })
    if (!batch) return removed.sessions + removed.memberships + removed.audit > 0 ? removed : undefined
    removed.sessions += batch.sessions
    removed.memberships += batch.memberships
    removed.audit += batch.audit
    if (batch.sessions < BATCH && batch.memberships < BATCH && batch.audit < BATCH) return removed
  }
}

/** What is kept for months. @returns the number of audit rows */
async function deleteExpired(tx: Transaction, retentionMs: number, isExported: boolean): Promise<number> {
  // guard: token-swept
  await tx.execute(sql`delete from tokens k
    where least(k.expires_at, k.revoked_at) < now() - interval '90 days'`)
  // guard: policy-drafts-swept
  await tx.execute(sql`delete from policy_drafts
    where changed_at < now() - make_interval(days => ${DRAFT_KEPT_DAYS})`)
  await dropExpiredReviews(tx) // guard: review-swept
  await tx.execute(HOUSEKEEPING)
  const isDelivered = isExported ? IS_DELIVERED : sql`true` // guard: audit-export-retention-rows
  const { rowCount } = await tx.execute(
    sql`delete from audit_events where id in (select id from audit_events where at < ${ago(retentionMs)}
      and ${keptToTheRow(retentionMs) ? sql`true` : OUTSIDE_OF_MONTHS} and ${isDelivered} order by id limit ${BATCH})`,
  )
  return rowCount ?? 0
}
