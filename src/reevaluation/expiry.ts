// While nothing is heard of somebody, what was heard last is believed for so long and no longer. Every replica sees to
// it, so that no privilege outlives its time because nobody asks.
import type { SyncDeps } from './ports.js'

export const GRACE_MS = 60_000

export interface Circumstances {
  /** Since this process began. */
  readonly upMs: number
  /** Graph has just been asked, and says nothing: to ask about each of them would be in vain. */
  readonly silent: boolean
}

export async function expire(
  { store, pace, report, graceMs = GRACE_MS }: SyncDeps,
  { upMs, silent }: Circumstances,
): Promise<void> {
  // After a long time down everything is old, and the first question may come before the network does.
  if (upMs < Math.min(graceMs, pace.intervalMs)) return
  const marginMs = 2 * pace.intervalMs
  const { privileges, sessions } = await store.expire({
    privilegedMs: pace.privilegedStalenessMs,
    maxMs: pace.maxStalenessMs,
    unaskedMs: silent ? 0 : upMs < marginMs ? undefined : marginMs,
  })
  for (const person of privileges) report.privilegesDropped(person)
  for (const person of sessions) report.ended(person, 'stale_session', person.sessions.length)
  if (privileges.length > 0) report.counted('stale_privileges', privileges.length)
  if (sessions.length > 0) report.counted('stale_session', sessions.length)
}
