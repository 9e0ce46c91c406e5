// Which users are due for re-evaluation: those of the configured tenant with an active session.
import { sql, type SQL } from 'drizzle-orm'
import type { DueQuery, DueUsers } from '../core/reevaluation-store.js'
import { activeUsers, MAX_USERS, type ActiveUsersOptions, type EntraUserRow } from './active-users.js'
import type { Database } from './database.js'
import { ago, interval } from './intervals.js'
import { MISSING_FOR_MS } from './reevaluation-writer.js'

const NEVER = sql`'-infinity'`

export function createDueUsers(database: Database, options: ActiveUsersOptions): DueUsers {
  const active = activeUsers(options)
  return {
    async find(query) {
      const { rows } = await database.ask((db) => db.execute<EntraUserRow>(dueUsers(active, query)))
      return rows
    },
    async overview() {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ lag: number | null, failed: number }>(overview(active))
      )
      return { lagMs: row?.lag ?? 0, failedUsers: row?.failed ?? 0 }
    },
  }
}

/**
 * In the order of the last attempts, oldest first, users are due that
 * - are in this run's share. Example: with 180 users, a cycle of 270 s and a run every 15 s, each run takes the first
 *   15 / 270 * 180 = 10, so that the requests to Graph are spread over the cycle;
 * - were never re-evaluated;
 * - had their last attempt longer ago than their delay;
 * - have their last chance before something of theirs expires.
 *
 * The order of users with equal times is random: otherwise one user for whom Graph fails would always be in a batch
 * with the same nine others, and fail it each time.
 */
function dueUsers(active: SQL, { cycleMs, runEveryMs, stalenessLimitsMs, overdueOnly }: DueQuery): SQL {
  const shareMs = overdueOnly ? 0 : runEveryMs
  // guard: sync-spread, sync-last-chance
  return sql`
    with active_users as (select * from (${active}) active where ours),
    ranked as (select *, row_number() over (order by last_at nulls first, random()) as place, count(*) over () as total
      from active_users)
    select user_id as "userId", username, oid::text as oid from ranked
    where place <= ${shareMs}::float8 * total / ${cycleMs}::float8
      or last_at is null
      or last_at < now() - ${delay(cycleMs, runEveryMs)}
      ${lastChance(stalenessLimitsMs)}
    order by place limit ${MAX_USERS}`
}

/**
 * The time between two attempts for one user. After a failure it equals the time for which the user had been due by
 * then, so it doubles with each further failure. Example with a cycle of 270 s and a run every 15 s: 15 s, 15 s, 30 s,
 * 60 s, 120 s, 240 s, 270 s, 270 s.
 */
function delay(cycleMs: number, runEveryMs: number): SQL {
  const dueFor = sql`tried_at - read_at - ${interval(cycleMs)}`
  // guard: sync-again-soon
  return sql`case
    when missing_since > coalesce(read_at, ${NEVER}) then ${interval(Math.min(MISSING_FOR_MS, cycleMs))}
    when tried_at > read_at then least(${interval(cycleMs)}, greatest(${interval(runEveryMs)}, ${dueFor}))
    else ${interval(cycleMs)} end`
}

/** The snapshot has become older than a limit, and the last attempt was before that. */
function lastChance(limitsMs: readonly number[]): SQL {
  return sql.join(
    limitsMs.map((ms) => sql` or (read_at < ${ago(ms)} and tried_at < read_at + ${interval(ms)})`),
  )
}

function overview(active: SQL): SQL {
  const failed = sql`tried_at > coalesce(read_at, ${NEVER})`
  const missing = sql`missing_since > coalesce(read_at, ${NEVER})`
  return sql`
    with active_users as (${active})
    select (extract(epoch from now() - min(coalesce(read_at, 'epoch'))) * 1000)::float8 as lag,
      (count(*) filter (where ours and ${failed} and (${missing}) is not true))::int as failed
    from active_users`
}
