// Which users are due for re-evaluation: those of the configured tenant with an active session.
import { sql, type SQL } from 'drizzle-orm'
import type { DueQuery, DueUsers } from '../core/reevaluation-store.js'
import { activeUsers, MAX_USERS, type ActiveUsersOptions, type EntraUserRow } from './active-users.js'
import { SETTLED_AFTER_MS } from './change-signals.js'
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
 * Users are due that
 * - are in this run's share. Example: with 180 users, a cycle of 270 s and a run every 15 s, each run takes the first
 *   15 / 270 * 180 = 10, so that the requests to Graph are spread over the cycle;
 * - were never re-evaluated;
 * - had their last attempt longer ago than their delay;
 * - have their last chance before something of theirs expires;
 * - were named by a delta query since their last snapshot, at most as many as one run can read.
 *
 * Users that are due by time are in the order of the floor, staff and superusers, the others. They take turns with
 * those that were named: whatever delta queries name, nobody comes later than at twice their place without them.
 *
 * The order of users with equal times is random: otherwise one user for whom Graph fails would always be in a batch
 * with the same nine others, and fail it each time.
 */
function dueUsers(active: SQL, query: DueQuery): SQL {
  const { runEveryMs, stalenessLimitsMs, overdueOnly, usersPerSecond } = query
  const shareMs = overdueOnly ? 0 : runEveryMs
  const ofOneRun = Math.ceil(usersPerSecond * runEveryMs / 1_000)
  // guard: sync-spread, sync-last-chance, sync-floor-first, sync-signals-first, sync-signals-limited, sync-turns
  return sql`
    with active_users as (select a.*, g.signalled_at from (${active}) a
      left join change_signals g on g.user_id = a.user_id where ours),
    counted as (select *, row_number() over (partition by privileged order by last_at nulls first, random()) as place,
      count(*) over (partition by privileged) as peers, count(*) over () as total from active_users),
    paced as (select *, ${cycle(query)} as cycle, ${floor(query)} as floor from counted),
    judged as (select *, ${signalDue(runEveryMs)} as signal, last_at is null or last_at < now() - floor as late,
      place <= ${shareMs}::float8 * peers / (extract(epoch from cycle) * 1000)
        or last_at < now() - ${delay(runEveryMs)} ${lastChance(stalenessLimitsMs)} as due
      from paced),
    candidates as (select *, late or due is true as timed,
        row_number() over (partition by signal order by last_at nulls first, place) as signal_nth
      from judged where late or signal or due),
    ranked as (select *, signal and signal_nth <= ${overdueOnly ? 0 : ofOneRun}::int as first, row_number() over (
        partition by timed order by late desc, privileged and not late desc, last_at nulls first, place) as timed_nth
      from candidates)
    select user_id as "userId", username, oid::text as oid from ranked where timed or first
    order by least(case when timed then 2 * timed_nth end, case when first then 2 * signal_nth - 1 end)
    limit ${Math.max(MAX_USERS, ofOneRun)}`
}

/** Staff and superusers may use half of the requests for a cycle of their own. */
function cycle({ cycleMs, usersPerSecond, floor: { privilegedMs, othersMs } }: DueQuery): SQL {
  const atRate = (users: SQL, perSecond: number) => sql`${users} * 1000 / ${perSecond}::float8`
  // guard: sync-floor-kept, sync-cycle-stretched
  return sql`case
    when privileged then least(${privilegedMs}::float8, greatest(${cycleMs}::float8, ${
    atRate(sql`peers`, usersPerSecond / 2)
  }))
    else least(${othersMs}::float8, greatest(${cycleMs}::float8, ${atRate(sql`total`, usersPerSecond)}))
    end * interval '1 millisecond'`
}

const floor = ({ floor: { privilegedMs, othersMs } }: DueQuery): SQL =>
  sql`case when privileged then ${interval(privilegedMs)} else ${interval(othersMs)} end`

/**
 * The time between two attempts for one user. After a failure it equals the time for which the user had been due by
 * then, so it doubles with each further failure. Example with a cycle of 270 s and a run every 15 s: 15 s, 15 s, 30 s,
 * 60 s, 120 s, 240 s, 270 s, 270 s. After a failure before the user was due by time it equals the time since the
 * signal, and ends at the latest where the user is due by time.
 */
function delay(runEveryMs: number): SQL {
  const early = sql`tried_at < read_at + cycle` // because of a signal
  const dueFor = sql`case when ${early} then coalesce(tried_at - signalled_at, '0') else tried_at - read_at - cycle end`
  const most = sql`case when ${early} then read_at + cycle - tried_at else cycle end`
  // guard: sync-again-soon, sync-signal-again
  return sql`case
    when missing_since > coalesce(read_at, ${NEVER}) then least(cycle, ${interval(MISSING_FOR_MS)})
    when tried_at > read_at then greatest(least(${interval(runEveryMs)}, cycle), least(${most}, ${dueFor}))
    else cycle end`
}

/**
 * A delta query has named the user, who was not read since, or only so soon after it that Graph may not have known the
 * change. A failed attempt is repeated after its delay.
 */
function signalDue(runEveryMs: number): SQL {
  const settled = sql`signalled_at + ${interval(SETTLED_AFTER_MS)}`
  // guard: sync-signal-answered, sync-signal-settled
  return sql`coalesce(signalled_at, ${NEVER}) > ${NEVER} and coalesce(read_at, ${NEVER}) < ${settled} and (
    coalesce(last_at, ${NEVER}) < signalled_at
    or (last_at < ${settled} and now() >= ${settled})
    or (tried_at > coalesce(read_at, ${NEVER}) and last_at < now() - ${delay(runEveryMs)}))`
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
