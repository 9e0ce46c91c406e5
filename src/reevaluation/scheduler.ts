// The schedule of the re-evaluation. Every replica starts a run every few seconds: the leader re-evaluates the users
// that are due, and every replica expires what is too old.
import type { ReevaluationDeps } from '../core/reevaluation.js'
import { createSignalReader } from './change-signals.js'
import { expireStale } from './expiry.js'
import { createFailureReporter } from './failure-reporter.js'
import { createLeader } from './leader.js'
import type { RunResult } from './run.js'

export interface ReevaluationState {
  /** Whether this replica is the leader. */
  readonly leader: boolean
  /** The code of the failure that persists; undefined without one. */
  readonly failing: string | undefined
  /** Age of the oldest snapshot of a user with an active session. */
  readonly lagMs: number
  /** When this replica last read all deltas to their end, in milliseconds since 1970; undefined: never. */
  readonly deltasReadAt?: number
}

export interface LastRun {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Users whose result was applied, and users that failed. */
  readonly processed: number
  readonly failed: number
}

export interface ReevaluationSchedule {
  /** Starts the first run immediately, and the others by a timer. */
  start(): void
  /** One run; the one in progress, if there is one. */
  run(): Promise<void>
  state(): ReevaluationState
  /** The last run of this replica as the leader. */
  lastRun(): LastRun | undefined
  close(): Promise<void>
}

const RUNS_PER_INTERVAL = 20
const MAX_RUN_INTERVAL_MS = 15_000
const SHUTDOWN_GRACE_MS = 2_000

export function createReevaluationSchedule(deps: ReevaluationDeps): ReevaluationSchedule {
  const { dueUsers, pace, report, clock = () => performance.now() } = deps
  const runEveryMs = Math.min(pace.intervalMs / RUNS_PER_INTERVAL, MAX_RUN_INTERVAL_MS)
  const startedAt = clock()
  const lag = createLag(clock)
  const failures = createFailureReporter(report)
  let closed = false
  const signals = deps.changes && createSignalReader(deps.changes, runEveryMs / 2) // guard: sync-delta-budget
  const leader = createLeader(deps, { runEveryMs, signals, closed: () => closed })
  let lastRun: LastRun | undefined
  let state: ReevaluationState = { leader: false, failing: undefined, lagMs: 0 }
  let running: Promise<void> | undefined

  const runOnce = async (): Promise<void> => {
    const { unlessFailed, firstError } = createFailsafe()
    const led = await unlessFailed(() => leader.run())
    const graphUnavailable = led?.kind === 'led' && led.run.graphUnavailable
    // on every replica, and without a leader too
    // guard: sync-expire-everywhere
    await unlessFailed(() => expireStale(deps, { upMs: clock() - startedAt, graphUnavailable }))
    const overview = await unlessFailed(() => dueUsers.overview())
    if (led?.kind === 'led') lastRun = lastRunOf(led.run)
    if (closed) return
    state = {
      leader: led?.kind === 'led' && !led.yielded,
      failing: failures.update({ leader: led, failedUsers: overview?.failedUsers ?? 0, error: firstError() }),
      lagMs: lag.update(overview?.lagMs),
    }
  }
  const run = (): Promise<void> => {
    running ??= runOnce().finally(() => {
      running = undefined
    })
    return running
  }
  const timer = createTimer(run, runEveryMs)
  return {
    start: timer.start,
    run,
    state: () => stateAt(state, signals?.completeAt()),
    lastRun: () => lastRun,
    async close() {
      closed = true
      timer.stop()
      // a request to Graph may take longer than the shutdown may
      await Promise.race([running, new Promise((resolve) => setTimeout(resolve, SHUTDOWN_GRACE_MS).unref())])
    },
  }
}

function stateAt(state: ReevaluationState, deltasReadAt: number | undefined): ReevaluationState {
  return deltasReadAt === undefined ? state : { ...state, deltasReadAt }
}

function lastRunOf({ processed, failures }: RunResult): LastRun {
  const failed = [...failures.values()].reduce((sum, { users }) => sum + users, 0)
  return { at: Date.now(), processed, failed }
}

/** What one run does is independent: a part that fails does not prevent the others. */
function createFailsafe() {
  let error: unknown
  return {
    unlessFailed: <T>(work: () => Promise<T>): Promise<T | undefined> =>
      work().catch((thrown: unknown) => {
        error ??= thrown
        return undefined
      }),
    firstError: () => error,
  }
}

/** While the database is unavailable no user is re-evaluated, so the last measured lag grows with the time. */
function createLag(clock: () => number): { update(measuredMs: number | undefined): number } {
  let last = { lagMs: 0, at: clock() }
  return {
    update(measuredMs) {
      if (measuredMs !== undefined) {
        last = { lagMs: measuredMs, at: clock() }
        return measuredMs
      }
      return last.lagMs === 0 ? 0 : last.lagMs + clock() - last.at // guard: adv-lag-ages
    },
  }
}

/** Counts from the start of the last run; a run that takes longer is followed by the next one immediately. */
function createTimer(run: () => Promise<void>, everyMs: number): { start(): void, stop(): void } {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  const next = (inMs: number): void => {
    timer = setTimeout(() => {
      const began = performance.now()
      run().finally(() => {
        if (!stopped) next(Math.max(0, began + everyMs - performance.now()))
      }).catch(() => {})
    }, inMs).unref()
  }
  return {
    start: () => next(0),
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
