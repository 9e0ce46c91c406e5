// Rate limits besides server.rateLimit: by session for pages that read the session from the database, and by client
// address for userinfo. Where several workers share the port, the primary process counts for all of them.
import type { FastifyRateLimitStoreCtor, RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { sessionIdHash } from '../core/session.js'
import type { CounterName, Increment, Siblings } from '../core/siblings.js'
import { cookieValues } from './cookies.js'
import type { CookieSigner } from './cookie-signer.js'
import type { TrustedPeers } from '../net/networks.js'
import { sessionIdOf } from './forward-auth/session-resolver.js'

export const MINUTE_MS = 60_000
const PAGES_PER_MINUTE = 60
const USERINFO_PER_MINUTE = 1_200
const API_PER_MINUTE = 600
/** Of one client address, with whatever tokens. */
const TOKENS_PER_MINUTE = 1_200
/** Clients or sessions that each limit counts (about 1 MB); the least recently used one is dropped. */
const CAPACITY = 5_000

/** Options of every limit. IPv6 addresses are counted by their /64 prefix. */
export const COMMON_LIMITS = {
  global: false,
  timeWindow: MINUTE_MS,
  cache: CAPACITY,
  errorResponseBuilder: () => new GatehouseError('rate_limited'),
}

/** The name of its counter, where another process counts. */
export type NamedLimit = RateLimitOptions & { readonly counter: CounterName }

/** @param counter of the routes that have no limit of their own */
export function limitStore(
  siblings: Siblings | undefined,
  counter: CounterName,
): { readonly store?: FastifyRateLimitStoreCtor } {
  return siblings === undefined ? {} : { store: sharedStore(siblings.increment, counter) } // guard: workers-rate-limit
}

type Counted = (error: Error | null, result?: { current: number, ttl: number }) => void

function sharedStore(increment: Increment, counter: CounterName): FastifyRateLimitStoreCtor {
  return class SharedStore {
    readonly #counter: CounterName

    constructor(_options: unknown, own: CounterName = counter) {
      this.#counter = own
    }

    incr(key: string, callback: Counted, windowMs: number): void {
      increment(this.#counter, key, windowMs).then(
        ({ current, ttlMs }) => callback(null, { current, ttl: ttlMs }),
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
      )
    }

    child(options: unknown): SharedStore {
      return new SharedStore(options, (options as NamedLimit).counter)
    }
  } as unknown as FastifyRateLimitStoreCtor
}

/** By session. A cookie without a valid signature causes no lookup and is not counted. */
export function sessionLimit(cookieName: string, signer: CookieSigner): NamedLimit {
  const keyOf = ({ headers }: FastifyRequest): string => {
    const [value, doubled] = cookieValues(headers.cookie, cookieName)
    const id = value === undefined || doubled !== undefined ? undefined : sessionIdOf(value, signer)
    return id === undefined ? '' : sessionIdHash(id).toString('hex')
  }
  return {
    counter: 'sessionPages',
    max: PAGES_PER_MINUTE,
    keyGenerator: keyOf,
    allowList: (_request, key) => key === '',
  }
}

/**
 * By admin session, for the admin API. Requests with a token are counted by their address (adminTokenLimit).
 * @param idOf the id in a Cookie header; undefined: it has none that Gatehouse signed, so nothing is looked up
 */
export function adminApiLimit(idOf: (cookies: string | undefined) => string | undefined): NamedLimit {
  return {
    counter: 'adminApi',
    max: API_PER_MINUTE,
    keyGenerator({ headers }: FastifyRequest): string {
      const id = idOf(headers.cookie)
      return id === undefined ? '' : sessionIdHash(id).toString('hex')
    },
    allowList: (_request, key) => key === '',
  }
}

/** By client address, for requests with an API token: each of them is looked for in the database. */
export function adminTokenLimit(isByToken: (request: FastifyRequest) => boolean): NamedLimit {
  return {
    counter: 'adminTokens',
    max: TOKENS_PER_MINUTE,
    allowList: (request) => !isByToken(request), // guard: token-limit
  }
}

/** By client address. The address of a trusted proxy is exempt: it is an application that asks for all of its users. */
export function userinfoLimit(trusts: TrustedPeers): NamedLimit {
  // guard: adv-userinfo-limit-trusted
  return { counter: 'userinfo', max: USERINFO_PER_MINUTE, allowList: ({ ip }) => trusts(ip) }
}
