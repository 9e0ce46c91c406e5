// Counts requests for hosts that no access rule names, although there are rules, and logs each host at most hourly.
// access.default decides there; a proxy that sends another host than the rules name is easily overlooked.
import type { FastifyBaseLogger } from 'fastify'
import type { Grounds } from '../../core/access.js'
import type { Meter } from '../../core/meter.js'
import type { Announcements } from '../../core/siblings.js'
import { createLogThrottle } from '../log-throttle.js'

const HOUR_MS = 3_600_000
const MAX_HOSTS = 1_000

export interface UnnamedHostsOptions {
  readonly meter: Pick<Meter, 'hostUnnamed'>
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  readonly announcements?: Announcements | undefined
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function createUnnamedHosts(
  { meter, log, announcements, now }: UnnamedHostsOptions,
): (hostname: string, byDefault: Grounds) => void {
  const throttle = createLogThrottle({
    intervalMs: HOUR_MS,
    capacity: MAX_HOSTS,
    announcements,
    ...(now === undefined ? {} : { now }),
  })
  return (host, { allows }) => {
    meter.hostUnnamed()
    if (!throttle.admit(host)) return // guard: adv-unnamed-host
    throttle.written(host)
    log.warn({
      hint: true,
      host,
      remedy: 'Write a rule for it, correct the host that the proxy sends, or set access.default to deny.',
    }, `no access rule names the host ${host}: access.default decides, open to ${allows}`)
  }
}
