// Expires privileges and sessions whose last successful re-evaluation is older than the configured staleness. Every
// replica does it, so that no privilege outlives its limit because there is no leader.
import type { ReevaluationDeps } from '../core/reevaluation.js'

export const GRACE_MS = 60_000

export interface ExpiryCircumstances {
  /** Since the start of this process. */
  readonly upMs: number
  /** This replica's run has just failed to reach Graph: an attempt for each of the users would fail too. */
  readonly graphUnavailable: boolean
}

export async function expireStale(
  { expiry, pace, report, graceMs = GRACE_MS }: ReevaluationDeps,
  { upMs, graphUnavailable }: ExpiryCircumstances,
): Promise<void> {
  // After a long downtime every snapshot is old, and the first run may begin before the network is up.
  if (upMs < Math.min(graceMs, pace.intervalMs)) return // guard: sync-first-minute
  const { privileges, sessions } = await expiry.expire({
    privilegedMs: pace.privilegedStalenessMs,
    maxMs: pace.maxStalenessMs,
    unattemptedMs: graphUnavailable ? 0 : attemptMargin(upMs, pace.intervalMs), // guard: sync-silence-is-for-all
  })
  for (const user of privileges) report.privilegesExpired(user)
  for (const user of sessions) report.sessionsEnded(user, 'stale_session', user.sessions.length)
  if (privileges.length > 0) report.counted('stale_privileges', privileges.length)
  if (sessions.length > 0) report.counted('stale_session', sessions.length)
}

/** The time for an attempt by whichever replica is the leader; undefined while this process is younger than that. */
function attemptMargin(upMs: number, intervalMs: number): number | undefined {
  const marginMs = 2 * intervalMs
  return upMs < marginMs ? undefined : marginMs // guard: sync-grace-after-start
}
