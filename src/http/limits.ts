// Limits of requests beside server.rateLimit: for pages that look a session up each time, by session, and for userinfo,
// by client address.
import type { RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { sessionIdHash } from '../core/session.js'
import { cookieValues } from './cookies.js'
import type { CookieSigner } from './cookie-signer.js'
import type { TrustedPeers } from '../net/networks.js'
import { sessionIdOf } from './forward-auth/session-resolver.js'

export const MINUTE_MS = 60_000
const PAGES_A_MINUTE = 60
const USERINFO_A_MINUTE = 1_200
/** Clients and sessions that each limit remembers; the one that asked least recently is dropped (about 1 MB). */
const REMEMBERED = 5_000

/** What every limit has in common. IPv6 addresses count by their /64. */
export const COMMON_LIMITS = {
  global: false,
  timeWindow: MINUTE_MS,
  cache: REMEMBERED,
  errorResponseBuilder: () => new GatehouseError('rate_limited'),
}

/** By session: a cookie that we did not sign causes no lookup and is not counted. */
export function sessionLimit(cookieName: string, signer: CookieSigner): RateLimitOptions {
  const keyOf = ({ headers }: FastifyRequest): string => {
    const [value, doubled] = cookieValues(headers.cookie, cookieName)
    const id = value === undefined || doubled !== undefined ? undefined : sessionIdOf(value, signer)
    return id === undefined ? '' : sessionIdHash(id).toString('hex')
  }
  return { max: PAGES_A_MINUTE, keyGenerator: keyOf, allowList: (_request, key) => key === '' }
}

/** By client address. A proxy's own address is an application that asks for all of its people. */
export function userinfoLimit(trusts: TrustedPeers): RateLimitOptions {
  return { max: USERINFO_A_MINUTE, allowList: ({ ip }) => trusts(ip) } // guard: adv-userinfo-limit-trusted
}
