// Hosts whose people could not come back after signing in, because server.redirectDomains does not allow their address:
// the sign-in would end on an error page. The log says so at the first question, before anybody signs in.
import type { FastifyBaseLogger } from 'fastify'
import { readReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { Target } from '../../core/target.js'
import { createLogThrottle } from '../log-throttle.js'

const HOUR_MS = 3_600_000
const HOSTS_REMEMBERED = 1_000
/** Whoever reaches a proxy that serves any host may make hosts up. */
const LINES_AN_HOUR = 10

export interface UnreachableReturnsOptions {
  readonly rules: ReturnToRules
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** @returns told of every target that somebody has to sign in for; each host is named at most once an hour */
export function createUnreachableReturns(
  { rules, log, now = () => performance.now() }: UnreachableReturnsOptions,
): (target: Target) => void {
  const looked = createLogThrottle({ intervalMs: HOUR_MS, capacity: HOSTS_REMEMBERED, now })
  const written = { since: -Infinity, lines: 0 }
  return ({ scheme, host }) => {
    const origin = `${scheme}://${host}`
    if (!looked.admit(origin)) return
    const { refusal } = readReturnTo(`${origin}/`, rules)
    if (refusal === undefined) return
    if (now() - written.since > HOUR_MS) Object.assign(written, { since: now(), lines: 0 })
    if (written.lines >= LINES_AN_HOUR) return // guard: adv-lost-returns-bounded
    written.lines++
    log.warn(
      { hint: true, host, remedy: refusal.remedy },
      `whoever signs in for ${host} cannot be sent back there: server.redirectDomains does not allow it`,
    )
  }
}
