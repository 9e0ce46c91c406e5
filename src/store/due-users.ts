// Whom a re-evaluation is about, and its lines in the record. Users without an Entra identity are never touched.
import { sql, type SQL } from 'drizzle-orm'
import type { SyncPerson } from '../core/reevaluation.js'
import type { SessionTimeouts } from '../core/session.js'
import { usernameKey } from '../core/user.js'
import { writeAudit } from './audit.js'
import type { Transaction } from './database.js'
import { stillLive } from './sessions.js'

export interface SyncStoreOptions extends SessionTimeouts {
  readonly tenantId: string
}

export type SyncPersonRow = Record<string, unknown> & SyncPerson

/** People in one go. */
export const MOST = 2_000

export const span = (ms: number): SQL => sql`${ms}::float8 * interval '1 millisecond'`
export const ago = (ms: number): SQL => sql`now() - ${span(ms)}`

/**
 * Everybody with an Entra identity and a live session. `ours`: of the configured tenant, and so can be asked about.
 * `last_at`: when Graph was last asked about them, with or without an answer.
 */
export function withLiveSessions(options: SyncStoreOptions): SQL {
  return sql`
    select u.id as user_id, u.username, i.oid, i.tid = ${options.tenantId} as ours, r.read_at, c.tried_at,
      c.missing_since, greatest(r.read_at, c.tried_at) as last_at
    from users u join lateral (select tid, oid from identities where user_id = u.id order by tid = ${options.tenantId}
      desc limit 1) i on true
    left join entra_readings r on r.user_id = u.id left join entra_checks c on c.user_id = u.id
    where exists (select 1 from sessions s where s.user_id = u.id and ${stillLive(options)})`
}

/** Written only where it is news: another name, or one that another account said later. */
export async function recordUpn(tx: Transaction, { userId, oid }: SyncPerson, upn: string): Promise<void> {
  const key = usernameKey(upn)
  await tx.execute(sql`
    update identities i set upn = ${upn}, upn_key = ${key}, upn_seen_at = now()
    where user_id = ${userId} and oid = ${oid} and (upn is distinct from ${upn} or exists (
      select 1 from identities o where o.upn_key = ${key} and o.tid = i.tid and o.upn_seen_at > i.upn_seen_at))`)
}

export async function auditSync(
  tx: Transaction,
  action: string,
  { userId, username }: SyncPerson,
  correlationId: string | undefined,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writeAudit(tx, {
    action,
    actor: 'sync',
    userId,
    username,
    ...(correlationId === undefined ? {} : { correlationId }),
    detail,
  })
}
