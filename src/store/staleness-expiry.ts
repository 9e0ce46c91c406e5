// Expires privileges and sessions whose last successful re-evaluation is older than the configured staleness. Every
// replica may do it, at the same time as the others and as a sign-in of the same user.
import { sql, type SQL } from 'drizzle-orm'
import type { EntraUser } from '../core/account-source.js'
import type { ExpiredUsers, StalenessExpiry, StalenessLimits } from '../core/reevaluation-store.js'
import { activeUsers, MAX_USERS, type ActiveUsersOptions, type EntraUserRow } from './active-users.js'
import type { Database, Transaction } from './database.js'
import { ago, interval } from './intervals.js'
import { auditReevaluation } from './reevaluation-audit.js'

type ExpiredSessions = ExpiredUsers['sessions'][number]
type ExpiredRow = EntraUserRow & { readonly readAt: string | null }

export function createStalenessExpiry(database: Database, options: ActiveUsersOptions): StalenessExpiry {
  const active = activeUsers(options)
  return {
    async expire({ privilegedMs, maxMs, unattemptedMs }) {
      const privileged = sql`${isStale(privilegedMs, unattemptedMs)} and exists (
        select 1 from users f where f.id = active_users.user_id and (f.is_staff or f.is_superuser))`
      return {
        privileges: await inPortions(database, active, privileged, expirePrivileges), // guard: sync-stale-privileges
        sessions: maxMs === undefined
          ? []
          // guard: sync-stale-sessions
          : await inPortions(database, active, isStale(maxMs, unattemptedMs), expireSessions),
      }
    },
  }
}

/**
 * Condition on a row of `active_users`: an attempt failed after the snapshot had become too old, or it has been too old
 * for longer than any user may be left without an attempt.
 */
function isStale(ms: number, unattemptedMs: StalenessLimits['unattemptedMs']): SQL {
  const readAt = sql`coalesce(active_users.read_at, '-infinity')`
  // guard: sync-not-attempted
  const unattempted = unattemptedMs === undefined ? sql`` : sql` or ${readAt} < ${ago(ms + unattemptedMs)}`
  // guard: sync-failed-attempts, sync-attempted-since
  return sql`${readAt} < ${ago(ms)} and (active_users.tried_at >= ${readAt} + ${interval(ms)}${unattempted})`
}

async function inPortions<User extends EntraUser>(
  database: Database,
  active: SQL,
  condition: SQL,
  expire: (tx: Transaction, users: SQL, condition: SQL) => Promise<User[]>,
): Promise<User[]> {
  const all: User[] = []
  for (;;) {
    const portion = await database.transaction(async (tx) => {
      // The condition is evaluated again under the lock, so that a sign-in that was about to commit counts. Users whose
      // row is locked are left for the next time.
      // guard: sync-left-locked
      const { rows } = await tx.execute<{ user_id: string }>(sql`
        with active_users as (${active})
        select l.id as user_id from users l
        where l.id in (select user_id from active_users where ${condition} limit ${MAX_USERS}) for update skip locked`)
      if (rows.length === 0) return []
      const locked = sql.param(rows.map((row) => row.user_id))
      const lockedUsers = sql`select * from (${active}) active where user_id = any(${locked}::uuid[])`
      return await expire(tx, lockedUsers, condition) // guard: sync-judged-again
    })
    all.push(...portion)
    if (portion.length < MAX_USERS) return all
  }
}

async function expirePrivileges(tx: Transaction, users: SQL, condition: SQL): Promise<EntraUser[]> {
  const { rows } = await tx.execute<ExpiredRow & { readonly staff: boolean, readonly superuser: boolean }>(sql`
    with active_users as (${users}),
    stale as (
      select active_users.*, b.is_staff, b.is_superuser from active_users join users b on b.id = active_users.user_id
      where ${condition})
    update users u set is_staff = false, staff_cause = null, staff_since = null,
      is_superuser = false, superuser_cause = null, superuser_since = null
    from stale where stale.user_id = u.id
    returning u.id as "userId", u.username, stale.oid::text as oid, to_json(stale.read_at) #>> '{}' as "readAt",
      stale.is_staff as staff, stale.is_superuser as superuser`)
  for (const { readAt, staff, superuser, ...user } of rows) {
    const detail = { oid: user.oid, readAt, before: { staff, superuser } }
    await auditReevaluation(tx, 'reevaluation.stale_privileges', user, undefined, detail)
  }
  return rows
}

async function expireSessions(tx: Transaction, users: SQL, condition: SQL): Promise<ExpiredSessions[]> {
  const { rows } = await tx.execute<ExpiredRow & { readonly sessions: string[] }>(sql`
    with active_users as (${users}),
    stale as (select * from active_users where ${condition}),
    ended as (delete from sessions s using stale where s.user_id = stale.user_id returning s.user_id, s.public_id)
    select stale.user_id as "userId", stale.username, stale.oid::text as oid,
      to_json(stale.read_at) #>> '{}' as "readAt", array_agg(ended.public_id) as sessions
    from ended join stale using (user_id) group by 1, 2, 3, 4`)
  for (const { readAt, sessions, ...user } of rows) {
    const detail = { oid: user.oid, readAt, sessions }
    await auditReevaluation(tx, 'reevaluation.stale_session', user, undefined, detail)
  }
  return rows
}
