// The leader's part of the schedule: only the replica with the lock re-evaluates users, and it yields the lock for a
// while when its runs fail, because Graph may be reachable for another replica.
import type { ReevaluationDeps } from '../core/reevaluation.js'
import type { SignalReader } from './change-signals.js'
import { reevaluateDueUsers, type RunResult } from './run.js'

export type LeaderResult =
  /** `yielded`: the lock was released after this run. */
  | { readonly kind: 'led', readonly run: RunResult, readonly yielded: boolean }
  /** Another replica has the lock. */
  | { readonly kind: 'follower' }
  /** This replica does not try to get the lock. */
  | { readonly kind: 'yielding' }

export interface LeaderOptions {
  /** Undefined: users are due by time alone. */
  readonly signals: SignalReader | undefined
  readonly runEveryMs: number
  /** The process ends. */
  readonly closed: () => boolean
}

const MAX_RUN_MS = 60_000
const FAILED_RUNS_BEFORE_YIELD = 3
const RUNS_YIELDED = 2

export function createLeader(
  deps: ReevaluationDeps,
  { runEveryMs, signals, closed }: LeaderOptions,
): { run(): Promise<LeaderResult> } {
  const { leadership, clock = () => performance.now() } = deps
  const isolatedUsers = new Set<string>()
  let failedRuns = 0
  let runsToYield = 0

  const follower = (): LeaderResult => {
    failedRuns = 0
    return { kind: 'follower' }
  }
  /** Another replica may have the policy that this one lacks. */
  const requirePolicy = async (): Promise<void> => {
    try {
      deps.requirePolicy?.() // guard: policy-missing-sync
    } catch (error) {
      await leadership.release()
      throw error
    }
  }
  return {
    /** @throws where the policy is missing, the database fails or the lock cannot be checked */
    async run() {
      await requirePolicy()
      if (runsToYield > 0) {
        runsToYield--
        return { kind: 'yielding' }
      }
      if (!await leadership.held()) return follower() // guard: sync-one-replica
      if (signals !== undefined) {
        await signals.read()
        if (!await leadership.held()) return follower() // guard: sync-held-after-deltas
      }
      const endsAt = clock() + MAX_RUN_MS
      const timeOver = () => closed() || clock() >= endsAt // guard: sync-run-ends
      const run = await reevaluateDueUsers(deps, { runEveryMs, isolatedUsers, timeOver })
      if (run.lockLost) return follower()
      if (run.processed > 0) failedRuns = 0
      else if (run.failures.size > 0) failedRuns++
      if (failedRuns < FAILED_RUNS_BEFORE_YIELD) return { kind: 'led', run, yielded: false } // guard: sync-stands-back
      failedRuns = 0
      runsToYield = RUNS_YIELDED
      await leadership.release()
      return { kind: 'led', run, yielded: true }
    },
  }
}
