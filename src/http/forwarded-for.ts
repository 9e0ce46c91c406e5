// X-Forwarded-For as everything else here reads it: addresses alone. Azure's gateways send `ip:port` and `[ip]:port`,
// and an address with a port is in no network, has a rate limit of its own and ends the search for the client.
import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'
import type { FastifyBaseLogger } from 'fastify'
import type { TrustedPeers } from '../net/networks.js'
import { createLogThrottle } from './log-throttle.js'

const HOUR_MS = 3_600_000
const PROXIES_REMEMBERED = 1_000

export interface ForwardedForNormalizerOptions {
  readonly trusts: TrustedPeers
  readonly log: Pick<FastifyBaseLogger, 'warn'>
}

/** @returns what rewrites the header of one request, before anything reads the address of the client from it */
export function createForwardedForNormalizer(
  { trusts, log }: ForwardedForNormalizerOptions,
): (request: IncomingMessage) => void {
  const named = createLogThrottle({ intervalMs: HOUR_MS, capacity: PROXIES_REMEMBERED })
  return ({ headers, socket }) => {
    const header = headers['x-forwarded-for']
    const peer = socket.remoteAddress
    if (header === undefined || peer === undefined || !trusts(peer)) return
    const addresses = String(header).split(',').map((entry) => stripPort(entry.trim())).filter((entry) => entry !== '')
    headers['x-forwarded-for'] = addresses.join(', ') // guard: adv-limit-without-port
    const client = addresses.findLast((address) => !trusts(address))
    if (client === undefined || ipaddr.isValid(client) || !named.admit(peer)) return // guard: adv-no-address-named
    log.warn(
      { hint: true, peer, client: client.slice(0, 100) },
      `the proxy at ${peer} says in X-Forwarded-For what is no IP address: access rules with networks and ` +
        'limits by address cannot tell these clients apart',
    )
  }
}

/** `ip:port`, `[ip]` and `[ip]:port`: the ip. Anything else as it is. */
export function stripPort(entry: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d*)?$/.exec(entry) ?? []
  const [, ipv4] = /^(\d{1,3}(?:\.\d{1,3}){3}):\d*$/.exec(entry) ?? []
  return bracketed ?? ipv4 ?? entry // guard: adv-address-without-port
}
