// The transaction of an act (core/acts.ts): what the use cases of src/admin/acts read, lock and change.
import { sql, type SQL } from 'drizzle-orm'
import type {
  ActingAdmin,
  ActRow,
  ActTarget,
  ActTransaction,
  EndedTogether,
  RefusedAct,
  SessionSelection,
  SessionUnit,
} from '../core/acts.js'
import type { Holdings } from '../core/ceiling.js'
import type { SessionTimeouts } from '../core/session.js'
import { adminRights, stillOpen } from './admin-sessions.js'
import { holdingsOfToken } from './admin-tokens.js'
import { writeAudit } from './audit.js'
import { reviewsUnit } from './access-reviews.js'
import type { Database, Transaction } from './database.js'
import { membershipUnit } from './act-memberships.js'
import { groupsUnit } from './act-groups.js'
import { policyUnit } from './act-policy.js'
import { peopleUnit } from './act-people.js'
import { tokenUnit } from './act-tokens.js'
import { rotateKeys } from './keys.js'
import { draftsUnit } from './policy-drafts.js'
import { imagesUnit } from './policy-images.js'
import { stillActive } from './sessions.js'

export const ACT_REFUSED = 'act.refused'

export function createActTransaction(
  database: Database,
  timeouts: SessionTimeouts,
  encryptionSecrets: readonly string[],
): ActTransaction {
  return (work) =>
    database.transaction((tx) =>
      work({
        takeTurn: () => takeTurn(tx),
        holdingsOf: (admin) => holdingsOf(tx, admin, timeouts),
        record: ({ userId, username, correlationId, ...row }) =>
          writeAudit(tx, {
            ...row,
            ...userId === undefined ? {} : { userId },
            ...username === undefined ? {} : { username },
            ...correlationId === undefined ? {} : { correlationId },
          }),
        sessions: sessionUnit(tx),
        people: peopleUnit(tx, timeouts),
        tokens: tokenUnit(tx),
        memberships: membershipUnit(tx),
        reviews: reviewsUnit(tx),
        groups: groupsUnit(tx),
        drafts: draftsUnit(tx),
        policy: policyUnit(tx),
        images: imagesUnit(tx),
        keys: { rotate: (now) => rotateKeys(tx, encryptionSecrets, now) },
      })
    )
}

async function takeTurn(tx: Transaction): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('gatehouse acts', 0))`)
}

/** Locked, so that nothing takes the rights away before this transaction ends. */
async function holdingsOf(
  tx: Transaction,
  admin: ActingAdmin,
  timeouts: SessionTimeouts,
): Promise<Holdings | undefined> {
  if (admin.tokenId !== undefined) return await holdingsOfToken(tx, admin)
  const { userId, adminSessionId } = admin
  // guard: act-active-again
  const { rows: [holder] } = await tx.execute<Holdings & Record<string, unknown>>(sql`
    select ${adminRights} from users u where u.id = ${userId} and u.is_active and exists (
      select 1 from admin_sessions a join sessions s on s.public_id = a.session_id
      where a.id = ${adminSessionId} and s.user_id = u.id and ${stillOpen} and ${stillActive(timeouts)})
    for share of u`)
  return holder
}

function sessionUnit(tx: Transaction): SessionUnit {
  return {
    async ownerOf(publicId) {
      const { rows: [owner] } = await tx.execute<ActTarget & Record<string, unknown>>(sql`
        select u.id as "userId", u.username, u.is_superuser as "isSuperuser", u.is_break_glass as "isBreakGlass"
        from sessions s join users u on u.id = s.user_id where s.public_id = ${publicId} for update of s`)
      return owner
    },
    async end(publicId) {
      await tx.execute(sql`delete from sessions where public_id = ${publicId}`)
    },
    endAll: (which, row) => endAll(tx, which, row),
  }
}

function conditionOf(which: SessionSelection): SQL {
  if ('userId' in which) return sql`s.user_id = ${which.userId}`
  return 'host' in which ? sql`s.last_host = ${which.host}` : sql`true`
}

/** One statement: all sessions end together when it commits. */
async function endAll(
  tx: Transaction,
  which: SessionSelection,
  { action, actor, correlationId, detail }: ActRow,
): Promise<EndedTogether> {
  // guard: sessions-ended-by-hand
  const { rows: [row] } = await tx.execute<{ ended: number, privileged: boolean }>(sql`
    with ended as (delete from sessions s where ${conditionOf(which)} returning s.user_id, s.public_id),
    owned as (select e.public_id, u.id, u.username, u.is_superuser or u.is_break_glass as privileged
      from ended e join users u on u.id = e.user_id),
    recorded as (insert into audit_events (action, actor, user_id, username, correlation_id, detail)
      select ${action}, ${actor}, o.id, o.username, ${correlationId ?? null},
        jsonb_build_object('sessions', jsonb_agg(o.public_id)) || ${JSON.stringify(detail)}::jsonb
      from owned o group by o.id, o.username)
    select count(*)::int as ended, coalesce(bool_or(privileged), false) as privileged from owned`)
  return { ended: row?.ended ?? 0, privileged: row?.privileged ?? false }
}

/**
 * One row a second for each administrator, whichever replica refuses.
 * @returns false: there is one of this second already
 */
export function recordRefusedAct(database: Database, { actor, correlationId, detail }: RefusedAct): Promise<boolean> {
  return database.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${ACT_REFUSED} ${actor}`}, 0))`)
    const { rowCount } = await tx.execute(sql`
      insert into audit_events (action, actor, correlation_id, detail)
      select ${ACT_REFUSED}, ${actor}, ${correlationId}, ${JSON.stringify(detail)}::jsonb
      where not exists (select 1 from audit_events e where e.actor = ${actor} and e.action = ${ACT_REFUSED}
        and e.at > clock_timestamp() - interval '1 second')`) // guard: act-refused-once-a-second
    return rowCount === 1
  })
}
