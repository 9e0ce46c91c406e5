// Warns of hosts to which users cannot return after the sign-in, because server.redirectDomains does not allow them:
// the sign-in would end on an error page. The warning is logged at the first request for such a host.
import type { FastifyBaseLogger } from 'fastify'
import { readReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { Target } from '../../core/target.js'
import type { Announcements } from '../../core/siblings.js'
import { createLogThrottle } from '../log-throttle.js'

const HOUR_MS = 3_600_000
const MAX_HOSTS = 1_000
/** Behind a proxy that serves any host, a client can send any number of hosts. */
const MAX_LINES_PER_HOUR = 10

export interface UnreachableReturnsOptions {
  readonly rules: ReturnToRules
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  readonly announcements?: Announcements | undefined
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** @returns to be called for every target that requires a sign-in; each host is logged at most once an hour */
export function createUnreachableReturns(
  { rules, log, announcements, now = () => performance.now() }: UnreachableReturnsOptions,
): (target: Target) => void {
  const throttle = createLogThrottle({ intervalMs: HOUR_MS, capacity: MAX_HOSTS, now, announcements })
  const written = { since: -Infinity, lines: 0 }
  const countLine = (): void => {
    if (now() - written.since > HOUR_MS) Object.assign(written, { since: now(), lines: 0 })
    written.lines++
  }
  announcements?.onAnnounced(countLine)
  return ({ scheme, host }) => {
    const origin = `${scheme}://${host}`
    if (!throttle.admit(origin)) return
    const { refusal } = readReturnTo(`${origin}/`, rules)
    if (refusal === undefined) return
    countLine()
    if (written.lines > MAX_LINES_PER_HOUR) return // guard: adv-lost-returns-bounded
    throttle.written(origin)
    log.warn(
      { hint: true, host, remedy: refusal.remedy },
      `users cannot return to ${host} after the sign-in: server.redirectDomains does not allow it`,
    )
  }
}
