// Rate limits besides server.rateLimit: by session for pages that read the session from the database, and by client
// address for userinfo.
import type { RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { sessionIdHash } from '../core/session.js'
import { cookieValues } from './cookies.js'
import type { CookieSigner } from './cookie-signer.js'
import type { TrustedPeers } from '../net/networks.js'
import { sessionIdOf } from './forward-auth/session-resolver.js'

export const MINUTE_MS = 60_000
const PAGES_PER_MINUTE = 60
const USERINFO_PER_MINUTE = 1_200
/** Clients or sessions that each limit counts (about 1 MB); the least recently used one is dropped. */
const CAPACITY = 5_000

/** Options of every limit. IPv6 addresses are counted by their /64 prefix. */
export const COMMON_LIMITS = {
  global: false,
  timeWindow: MINUTE_MS,
  cache: CAPACITY,
  errorResponseBuilder: () => new GatehouseError('rate_limited'),
}

/** By session. A cookie without a valid signature causes no lookup and is not counted. */
export function sessionLimit(cookieName: string, signer: CookieSigner): RateLimitOptions {
  const keyOf = ({ headers }: FastifyRequest): string => {
    const [value, doubled] = cookieValues(headers.cookie, cookieName)
    const id = value === undefined || doubled !== undefined ? undefined : sessionIdOf(value, signer)
    return id === undefined ? '' : sessionIdHash(id).toString('hex')
  }
  return { max: PAGES_PER_MINUTE, keyGenerator: keyOf, allowList: (_request, key) => key === '' }
}

/** By client address. The address of a trusted proxy is exempt: it is an application that asks for all of its users. */
export function userinfoLimit(trusts: TrustedPeers): RateLimitOptions {
  return { max: USERINFO_PER_MINUTE, allowList: ({ ip }) => trusts(ip) } // guard: adv-userinfo-limit-trusted
}
