// Logs each failure code once, and recovery once.
import { GatehouseError } from '../core/errors.js'
import type { ReevaluationReporter } from '../core/reevaluation.js'
import type { LeaderResult } from './leader.js'
import type { RunResult } from './run.js'

export interface ScheduledRun {
  /** Undefined where the run failed. */
  readonly leader: LeaderResult | undefined
  /** Users whose last attempt failed, of this run or an earlier one. */
  readonly failedUsers: number
  /** Why the run, the expiry or the overview failed; undefined where they did not. */
  readonly error: unknown
}

export interface FailureReporter {
  /** @returns the code of the failure that persists after this run; undefined without one */
  update(run: ScheduledRun): string | undefined
}

export function createFailureReporter(report: ReevaluationReporter): FailureReporter {
  const reported = new Set<string>()
  let graphFailure: string | undefined // the code of one that users still have
  let runFailure: string | undefined // the code of the last run's

  const reportOnce = (code: string, write: () => void): void => {
    if (!reported.has(code)) write()
    reported.add(code)
  }
  const updateGraphFailure = ({ failures, processed }: RunResult, failedUsers: number): void => {
    for (const [code, { error, users, correlationId }] of failures) {
      reportOnce(code, () => report.usersFailed(error, users, correlationId))
    }
    const [code] = failures.keys()
    if (code !== undefined) graphFailure = code
    // a run without due users shows nothing
    else if (processed > 0 && failedUsers === 0) graphFailure = undefined // guard: sync-recovery-after-result
  }
  return {
    update({ leader, failedUsers, error }) {
      const runHadFailed = runFailure !== undefined
      runFailure = error === undefined ? undefined : codeOf(error)
      if (runFailure !== undefined) reportOnce(runFailure, () => report.runFailed(error))
      // guard: sync-forgotten-with-the-lock
      if (leader?.kind === 'follower') graphFailure = undefined // the leader reports them
      if (leader?.kind === 'led') updateGraphFailure(leader.run, failedUsers)
      const failure = runFailure ?? graphFailure
      if (failure !== undefined || reported.size === 0) return failure
      // that another replica became the leader is no recovery of Graph
      if (leader?.kind !== 'follower' || runHadFailed) report.recovered()
      reported.clear()
      return undefined
    },
  }
}

function codeOf(error: unknown): string {
  return error instanceof GatehouseError ? error.code : 'internal'
}
