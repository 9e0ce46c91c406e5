// Reads the target of a forward-auth request from its headers: each dialect has one family of headers, every header may
// occur once, and only headers from trusted peers are used.
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import { parseTarget, parseTargetUrl, type KnownHosts, type Target } from '../../core/target.js'
import type { TrustedPeers } from '../../net/networks.js'
import type { Announcements } from '../../core/siblings.js'
import { createLogThrottle } from '../log-throttle.js'

export type TargetReader = (request: IncomingMessage, hosts: KnownHosts) => Target | undefined

/** X-Original-URL, X-Original-Method (nginx auth_request) and X-Forwarded-Port. */
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

/** The port of the site. The shipped proxy files set it as a constant. */
export const PORT = 'x-forwarded-port'

/** Node joins duplicate headers with a comma, so duplicates are counted in rawHeaders. */
export function single(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  if (value === undefined) return undefined
  // of duplicate Host headers Node keeps only the first
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
const MAX_PEERS = 1_000

/**
 * Ignores forwarding headers from untrusted peers. Peers that send ignored or incomplete headers are logged at most
 * hourly. The target is read once per request: the fast path and the route read it within the same tick.
 */
export function fromTrustedPeers(
  read: TargetReader,
  trusts: TrustedPeers,
  log: Pick<FastifyBaseLogger, 'warn'>,
  announcements?: Announcements | undefined,
): (request: IncomingMessage) => Target | undefined {
  const hosts: KnownHosts = new Map()
  const warn = createPeerWarnings(log, announcements)
  const readFrom = (request: IncomingMessage): Target | undefined => {
    const peer = request.socket.remoteAddress ?? ''
    if (trusts(peer)) { // guard: adv-trusted-peers
      const target = read(request, hosts)
      if (target === undefined) warn.targetMissing(peer)
      if (target?.method === '') warn.methodMissing(peer)
      return target
    }
    if (FORWARDING.some((name) => request.headers[name] !== undefined)) warn.untrusted(peer)
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

function createPeerWarnings(log: Pick<FastifyBaseLogger, 'warn'>, announcements: Announcements | undefined) {
  const throttle = createLogThrottle({ intervalMs: HOUR_MS, capacity: MAX_PEERS, announcements })
  const warn = (peer: string, message: string): void => {
    if (!throttle.admit(peer)) return
    throttle.written(peer)
    log.warn({ hint: true, peer }, message)
  }
  return {
    targetMissing: (peer: string): void =>
      warn(
        peer,
        `the proxy at ${peer} sends no target, so users return to Gatehouse's home page after the sign-in: it must ` +
          'send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method ' +
          '(server.authRequestHeaders)',
      ),
    methodMissing: (peer: string): void =>
      warn(
        peer,
        `the proxy at ${peer} sends no method, so access rules with methods allow no one: it must send ` +
          'X-Original-Method, or X-Forwarded-Method (server.authRequestHeaders)',
      ),
    untrusted: (peer: string): void =>
      warn(
        peer,
        `forwarding headers from ${peer} are ignored; if this is your proxy, add ${peer} to server.trustedProxies`,
      ),
  }
}
