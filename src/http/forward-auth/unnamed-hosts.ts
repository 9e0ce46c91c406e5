// Hosts that no access rule names, while there are rules: access.default decides there, and a proxy that sends another
// host than its rules were written for is easily overlooked. Counted, and named in the log once an hour.
import type { FastifyBaseLogger } from 'fastify'
import { describeAllow, type Grounds } from '../../core/access.js'
import type { Meter } from '../../core/meter.js'
import { createLogThrottle } from '../log-throttle.js'

const HOUR_MS = 3_600_000
const HOSTS_REMEMBERED = 1_000

export interface UnnamedHostsOptions {
  readonly meter: Pick<Meter, 'hostUnnamed'>
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function createUnnamedHosts(
  { meter, log, now }: UnnamedHostsOptions,
): (hostname: string, byDefault: Grounds) => void {
  const named = createLogThrottle({
    intervalMs: HOUR_MS,
    capacity: HOSTS_REMEMBERED,
    ...(now === undefined ? {} : { now }),
  })
  return (host, { allow }) => {
    meter.hostUnnamed()
    if (!named.admit(host)) return // guard: adv-unnamed-host
    log.warn({
      hint: true,
      host,
      remedy: 'Write a rule for it, correct the host that the proxy sends, or set access.default to deny.',
    }, `no access rule names the host ${host}: access.default decides, open to ${describeAllow(allow)}`)
  }
}
