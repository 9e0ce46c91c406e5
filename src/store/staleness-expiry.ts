// Expires privileges and sessions whose last successful re-evaluation is older than the configured staleness. Every
// replica may do it, at the same time as the others and as a sign-in of the same user.
import { sql, type SQL } from 'drizzle-orm'
import type { EntraUser } from '../core/account-source.js'
import type { ExpiredUsers, StalenessExpiry, StalenessLimits } from '../core/reevaluation-store.js'
import { activeUsers, MAX_USERS, type ActiveUsersOptions, type EntraUserRow } from './active-users.js'
import type { Database, Transaction } from './database.js'
import { ago } from './intervals.js'
import { auditReevaluation } from './reevaluation-audit.js'
import { createReevaluationOrder, type ReevaluationOrder } from './reevaluation-order.js'

type ExpiredSessions = ExpiredUsers['sessions'][number]
type ExpiredRow = EntraUserRow & { readonly readAt: string | null }

export function createStalenessExpiry(database: Database, options: ActiveUsersOptions): StalenessExpiry {
  const order = createReevaluationOrder(database, options)
  const active = activeUsers(options)
  const privileges = (limit: Limit): Expire<EntraUser> => (tx, userIds) =>
    // guard: sync-judged-again
    expirePrivileges(tx, ofUsers(active, userIds), sql`active_users.privileged and ${isStale(limit)}`)
  const sessions = (limit: Limit): Expire<ExpiredSessions> => (tx, userIds) =>
    expireSessions(tx, ofUsers(active, userIds), isStale(limit))
  const stale = (classes: readonly boolean[], limit: Limit) => portionsOf(staleUsers(order, classes, limit))
  return {
    async expire({ privilegedMs, maxMs, unattemptedMs }) {
      await order.revise()
      const staff: Limit = { ms: privilegedMs, unattemptedMs }
      const everyone: Limit = { ms: maxMs ?? Infinity, unattemptedMs }
      return {
        // guard: sync-stale-privileges
        privileges: await inPortions(database, stale([true], staff), privileges(staff)),
        sessions: maxMs === undefined
          ? []
          // guard: sync-stale-sessions
          : await inPortions(database, stale([true, false], everyone), sessions(everyone)),
      }
    },
  }
}

/** In one transaction, which has locked the users' rows. */
type Expire<User extends EntraUser> = (tx: Transaction, userIds: readonly string[]) => Promise<User[]>

interface Limit {
  readonly ms: number
  readonly unattemptedMs: StalenessLimits['unattemptedMs']
}

/**
 * Users for whom an attempt failed after the snapshot had become too old, or whose snapshot has been too old for longer
 * than any user may be left without an attempt.
 */
async function* staleUsers(
  order: ReevaluationOrder,
  classes: readonly boolean[],
  { ms, unattemptedMs }: Limit,
): AsyncGenerator<string> {
  for (const privileged of classes) {
    for await (const { userId, readAge, triedAge } of order.users({ by: 'snapshot', privileged, olderThanMs: ms })) {
      // guard: sync-failed-attempts, sync-attempted-since
      const failedSince = triedAge !== null && triedAge <= readAge - ms
      const unattempted = unattemptedMs !== undefined && readAge > ms + unattemptedMs // guard: sync-not-attempted
      if (failedSince || unattempted) yield userId
    }
  }
}

/** Condition on a row of `active_users`: no sign-in or re-evaluation has stored a newer snapshot meanwhile. */
const isStale = ({ ms }: Limit): SQL => sql`coalesce(active_users.read_at, '-infinity') < ${ago(ms)}`

const ofUsers = (active: SQL, userIds: readonly string[]): SQL =>
  sql`select * from (${active}) active where user_id = any(${sql.param([...userIds])}::uuid[])`

async function inPortions<User extends EntraUser>(
  database: Database,
  portions: AsyncGenerator<readonly string[]>,
  expire: Expire<User>,
): Promise<User[]> {
  const all: User[] = []
  for await (const userIds of portions) all.push(...await expirePortion(database, userIds, expire))
  return all
}

/**
 * The condition is evaluated again under the lock, so that a sign-in that was about to commit counts. Users whose row
 * is locked are left for the next time.
 */
async function expirePortion<User extends EntraUser>(
  database: Database,
  userIds: readonly string[],
  expire: Expire<User>,
): Promise<User[]> {
  return await database.transaction(async (tx) => {
    // guard: sync-left-locked
    const { rows } = await tx.execute<{ id: string }>(sql`
      select id from users where id = any(${sql.param([...userIds])}::uuid[]) for update skip locked`)
    return rows.length === 0 ? [] : await expire(tx, rows.map(({ id }) => id))
  })
}

async function* portionsOf(userIds: AsyncGenerator<string>): AsyncGenerator<readonly string[]> {
  let portion: string[] = []
  for await (const userId of userIds) {
    if (portion.push(userId) < MAX_USERS) continue
    yield portion
    portion = []
  }
  if (portion.length > 0) yield portion
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
    await auditReevaluation(tx, 'reevaluation.stale_privileges', user, { correlationId: undefined }, detail)
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
    await auditReevaluation(tx, 'reevaluation.stale_session', user, { correlationId: undefined }, detail)
  }
  return rows
}
