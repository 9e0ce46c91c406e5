// Normalizes X-Forwarded-For to IP addresses without ports. Azure's gateways send `ip:port` and `[ip]:port`; an address
// with a port matches no network, gets a rate limit of its own and ends the search for the client's address.
import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'
import type { FastifyBaseLogger } from 'fastify'
import type { TrustedPeers } from '../net/networks.js'
import type { Announcements } from '../core/siblings.js'
import { createLogThrottle } from './log-throttle.js'

const HOUR_MS = 3_600_000
const PROXIES_REMEMBERED = 1_000

export interface ForwardedForNormalizerOptions {
  readonly trusts: TrustedPeers
  readonly log: Pick<FastifyBaseLogger, 'warn'>
  readonly announcements?: Announcements | undefined
}

/** @returns a function that rewrites a request's header; call it before the client's address is read */
export function createForwardedForNormalizer(
  { trusts, log, announcements }: ForwardedForNormalizerOptions,
): (request: IncomingMessage) => void {
  const throttle = createLogThrottle({ intervalMs: HOUR_MS, capacity: PROXIES_REMEMBERED, announcements })
  return ({ headers, socket }) => {
    const header = headers['x-forwarded-for']
    const peer = socket.remoteAddress
    if (header === undefined || peer === undefined || !trusts(peer)) return
    const addresses = String(header).split(',').map((entry) => stripPort(entry.trim())).filter((entry) => entry !== '')
    headers['x-forwarded-for'] = addresses.join(', ') // guard: adv-limit-without-port
    const client = addresses.findLast((address) => !trusts(address))
    if (client === undefined || ipaddr.isValid(client) || !throttle.admit(peer)) return // guard: adv-no-address-named
    throttle.written(peer)
    log.warn(
      { hint: true, peer, client: client.slice(0, 100) },
      `X-Forwarded-For from the proxy at ${peer} contains a value that is not an IP address: access rules with ` +
        'networks and limits by address cannot distinguish these clients',
    )
  }
}

/** What Fastify finds, for a request that Fastify does not see. */
export function clientAddress({ headers, socket }: IncomingMessage, trusts: TrustedPeers): string | undefined {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',').map((entry) => stripPort(entry.trim()))
    .filter((entry) => entry !== '')
  let address = socket.remoteAddress
  while (address !== undefined && forwarded.length > 0 && trusts(address)) address = forwarded.pop()
  return address
}

/** The IP address of `ip:port`, `[ip]` and `[ip]:port`; anything else unchanged. */
export function stripPort(entry: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d*)?$/.exec(entry) ?? []
  const [, ipv4] = /^(\d{1,3}(?:\.\d{1,3}){3}):\d*$/.exec(entry) ?? []
  return bracketed ?? ipv4 ?? entry // guard: adv-address-without-port
}
