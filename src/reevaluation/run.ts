// One run of the leader: batches of all users that are due, several at the same time. It ends when no user is due, when
// Graph is unavailable, the database fails or the lock is lost, or when its time is over.
import type { EntraUser } from '../core/account-source.js'
import { USERS_PER_SECOND, type ReevaluationDeps } from '../core/reevaluation.js'
import type { DueQuery } from '../core/reevaluation-store.js'
import { processBatch } from './batch.js'
import { createLockCheck, type LockCheck } from './lock-check.js'
import { createRunState, type FailedUsers, type RunState } from './run-state.js'

export interface RunOptions {
  readonly runEveryMs: number
  /** The time of the run is over, or the process ends: no further batch begins. */
  readonly timeOver: () => boolean
  /** RunState; kept between runs. */
  readonly isolatedUsers: Set<string>
}

export interface RunResult {
  /** Users whose result was applied. */
  readonly processed: number
  readonly graphUnavailable: boolean
  /** By error code. */
  readonly failures: ReadonlyMap<string, FailedUsers>
  readonly lockLost: boolean
}

interface Run {
  readonly deps: ReevaluationDeps
  readonly state: RunState
  readonly lock: LockCheck
  readonly stopped: () => boolean
}

type Batches = (readonly EntraUser[])[]

const MIN_CONCURRENCY = 4
const MAX_CONCURRENCY = 16
/** Without sync.maxStaleness no session expires, and everyone is read within a day. */
const DEFAULT_MAX_STALENESS_MS = 24 * 3_600_000

/** @throws where the database fails or the lock cannot be checked; no batch is in progress any longer then */
export async function reevaluateDueUsers(
  deps: ReevaluationDeps,
  { runEveryMs, timeOver, isolatedUsers }: RunOptions,
): Promise<RunResult> {
  const state = createRunState(isolatedUsers)
  const lock = createLockCheck(deps)
  // guard: sync-no-zombies
  const stopped = () => state.graphUnavailable() || state.aborted() || lock.lost() || timeOver()
  try {
    await processDueUsers({ deps, state, lock, stopped }, runEveryMs)
  } finally {
    for (const { users } of state.failures.values()) deps.report.counted('failed', users)
  }
  state.throwIfAborted()
  return {
    processed: state.processed(),
    graphUnavailable: state.graphUnavailable(),
    failures: state.failures,
    lockLost: lock.lost(),
  }
}

async function processDueUsers(run: Run, runEveryMs: number): Promise<void> {
  const { deps: { dueUsers, source }, state } = run
  const attempted = new Set<string>()
  while (!run.stopped()) {
    const due = await dueUsers.find({ ...dueQuery(run.deps, runEveryMs), overdueOnly: attempted.size > 0 })
    const users = due.filter(({ userId }) => !attempted.has(userId))
    if (users.length === 0) return // guard: sync-until-no-user-is-due
    const batches = batchesOf(users, state.isolatedUsers, source.batchSize)
    // guard: sync-first-question
    if (attempted.size === 0) await processBatches(run, batches, 1) // detects an outage with a single request
    for (const { userId } of users) attempted.add(userId)
    // guard: sync-at-once
    const workers = Math.min(MAX_CONCURRENCY, Math.max(MIN_CONCURRENCY, Math.ceil(batches.length / MIN_CONCURRENCY)))
    await Promise.all(Array.from({ length: workers }, () => processBatches(run, batches)))
  }
}

function dueQuery(
  { pace, usersPerSecond = USERS_PER_SECOND }: Pick<ReevaluationDeps, 'pace' | 'usersPerSecond'>,
  runEveryMs: number,
): Omit<DueQuery, 'overdueOnly'> {
  const { intervalMs, privilegedStalenessMs, maxStalenessMs } = pace
  return {
    cycleMs: intervalMs - 2 * runEveryMs, // two runs to spare
    usersPerSecond,
    floor: {
      privilegedMs: floorMs(privilegedStalenessMs, intervalMs),
      othersMs: floorMs(maxStalenessMs ?? DEFAULT_MAX_STALENESS_MS, intervalMs),
    },
    runEveryMs,
    stalenessLimitsMs: [privilegedStalenessMs, maxStalenessMs ?? []].flat(),
  }
}

/** Early enough for two attempts before something expires. */
function floorMs(stalenessMs: number, intervalMs: number): number {
  return Math.max(stalenessMs - 2 * intervalMs, stalenessMs / 2)
}

/** One worker: takes batches from the queue until it is empty or the run stops. */
async function processBatches({ deps, state, lock, stopped }: Run, queue: Batches, limit = Infinity): Promise<void> {
  try {
    for (let count = 0; count < limit && !stopped() && await lock.held(); count++) {
      const users = queue.shift()
      if (!users) return
      const outcome = await processBatch(deps, state, users)
      if (outcome === 'split') queue.unshift(...users.map((user) => [user]))
    }
  } catch (error) {
    state.abort(error)
  }
}

function batchesOf(users: readonly EntraUser[], isolated: ReadonlySet<string>, size: number): Batches {
  const together = users.filter(({ userId }) => !isolated.has(userId))
  const batches = Array.from(
    { length: Math.ceil(together.length / size) },
    (_, index) => together.slice(index * size, (index + 1) * size),
  )
  return [...batches, ...users.filter(({ userId }) => isolated.has(userId)).map((user) => [user])]
}
