// Reading a target from headers: each dialect has one family, every header at most once, and only a trusted peer's
// count.
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import { parseTarget, parseTargetUrl, type KnownHosts, type Target } from '../../core/target.js'
import type { TrustedPeers } from '../../net/networks.js'
import { createLogThrottle } from '../log-throttle.js'

export type TargetReader = (request: IncomingMessage, hosts: KnownHosts) => Target | undefined

/** X-Original-URL and X-Original-Method (nginx auth_request), and X-Forwarded-Port beside them. */
export function readOriginal(request: IncomingMessage, hosts: KnownHosts): Target | undefined {
  const url = single(request, 'x-original-url')
  const method = single(request, 'x-original-method')
  return url === undefined ? undefined : parseTargetUrl(url, method, single(request, PORT), hosts)
}

/** X-Forwarded-Proto, -Host, -Uri, -Method and -Port (Traefik, Caddy, HAProxy). */
export function readForwarded(request: IncomingMessage, hosts: KnownHosts): Target | undefined {
  const [scheme, host, uri, method] = ['proto', 'host', 'uri', 'method'].map((name) =>
    single(request, `x-forwarded-${name}`)
  )
  if (scheme === undefined && host === undefined && uri === undefined) return undefined
  if (scheme === undefined || host === undefined || uri === undefined) {
    // guard: adv-parts-missing
    throw new GatehouseError('target_malformed', { detail: 'of X-Forwarded-Proto, -Host and -Uri one is missing' })
  }
  return parseTarget({ scheme, host, uri, method, port: single(request, PORT) }, hosts)
}

/** The port of the site, by the proxy's word: its file sets it as a constant. */
export const PORT = 'x-forwarded-port'

/** Node joins doubled headers with a comma, so they are counted where they are still apart. */
export function single(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  if (value === undefined) return undefined
  // of Host it keeps the first alone
  if (typeof value === 'string' && !value.includes(', ') && name !== 'host') return value
  const raw = request.rawHeaders
  let seen = 0
  for (let index = 0; index < raw.length; index += 2) if (raw[index]?.toLowerCase() === name) seen++
  if (seen !== 1 || typeof value !== 'string') {
    // guard: adv-doubled-headers
    throw new GatehouseError('target_malformed', { detail: `${name} is there ${seen} times` })
  }
  return value
}

const FORWARDING = ['x-original-url', 'x-forwarded-host', 'x-forwarded-uri', 'x-forwarded-proto']

const HOUR_MS = 3_600_000
const PEERS_REMEMBERED = 1_000

/**
 * The same reader, deaf to peers that are not in server.trustedProxies. Who sends what does not count, or nothing, is
 * named in the log once an hour. The fast path and, within the same tick, the route ask for the target of one request:
 * it is read once.
 */
export function fromTrustedPeers(
  read: TargetReader,
  trusts: TrustedPeers,
  log: Pick<FastifyBaseLogger, 'warn'>,
): (request: IncomingMessage) => Target | undefined {
  const named = createLogThrottle({ intervalMs: HOUR_MS, capacity: PEERS_REMEMBERED })
  const hosts: KnownHosts = new Map()
  const readFrom = (request: IncomingMessage): Target | undefined => {
    const peer = request.socket.remoteAddress ?? ''
    if (trusts(peer)) { // guard: adv-trusted-peers
      const target = read(request, hosts)
      if (target === undefined && named.admit(peer)) {
        log.warn(
          { hint: true, peer },
          `the proxy at ${peer} does not say what was asked for, so people come back to Gatehouse's own ` +
            'page: it must send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method ' +
            '(server.authRequestHeaders)',
        )
      }
      if (target?.method === '' && named.admit(peer)) {
        log.warn(
          { hint: true, peer },
          `the proxy at ${peer} does not say the method, so access rules with methods let nobody pass: it must send ` +
            'X-Original-Method, or X-Forwarded-Method (server.authRequestHeaders)',
        )
      }
      return target
    }
    if (!FORWARDING.some((name) => request.headers[name] !== undefined)) return undefined
    if (named.admit(peer)) {
      log.warn(
        { hint: true, peer },
        `forwarding headers from ${peer} do not count; if this is your proxy, add ${peer} to server.trustedProxies`,
      )
    }
    return undefined
  }
  let lastRequest: IncomingMessage | undefined
  let lastTarget: Target | undefined
  return (request) => {
    if (request === lastRequest) return lastTarget // guard: adv-request-read-once
    lastRequest = undefined
    lastTarget = readFrom(request)
    lastRequest = request
    return lastTarget
  }
}
