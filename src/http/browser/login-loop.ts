// Detects an endless sign-in: the application does not receive the session cookie and sends the browser back here as
// soon as the user is signed in. Each sign-in succeeds, so no error ends the loop. A cookie of this host, which does
// arrive, keeps for a minute the addresses for which this browser has completed a sign-in, and how many in succession.
// Tabs that are opened together are not counted: none of their sign-ins begins after another one has completed and been
// counted.
import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Round } from '../../core/flow.js'
import type { CookieSigner } from '../cookie-signer.js'
import { cookieValues, domainsOf, type CookiePolicy } from '../cookies.js'
import type { HttpExchange } from '../http-exchange.js'

export const MOST_ROUNDS = 2
const WITHIN_MS = 60_000
const MOST_ADDRESSES = 8 // the last ones: the cookie stays below 400 bytes
const PREFIX = 'rounds: '

export interface LoginLoopDetector {
  /** The round of a sign-in that begins now. */
  nextRound(returnTo: string, request: FastifyRequest): Round
  recordCompleted(returnTo: string, round: Round, exchange: HttpExchange): void
  /** Starts counting from zero again. */
  clear(exchange: HttpExchange): void
}

export interface LoginLoopDetectorDeps {
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly now?: () => number
}

export function createLoginLoopDetector({
  cookies: {
    names: { rounds: name },
  },
  signer,
  now = Date.now,
}: LoginLoopDetectorDeps): LoginLoopDetector {
  const remembered = ({ headers }: FastifyRequest): readonly [string, Round][] => {
    const [sent = ''] = cookieValues(headers.cookie, name)
    const { valid, value } = signer.unsign(sent)
    if (!valid || !value?.startsWith(PREFIX)) return []
    return value
      .slice(PREFIX.length)
      .split(' ')
      .map(readEntry)
      .filter(([, { firstAt }]) => now() - firstAt < WITHIN_MS)
  }
  return {
    nextRound(returnTo, request) {
      const address = addressOf(returnTo)
      const [, before] = remembered(request).find(([each]) => each === address) ?? []
      if (before === undefined) return { count: 1, firstAt: now() }
      return { count: before.count + 1, firstAt: before.firstAt }
    },
    recordCompleted(returnTo, round, { request, reply }) {
      const address = addressOf(returnTo)
      const others = remembered(request).filter(([each]) => each !== address)
      const entries = [...others, [address, round] as const].slice(-MOST_ADDRESSES).map(writeEntry)
      reply.setCookie(name, signer.sign(`${PREFIX}${entries.join(' ')}`), { maxAge: WITHIN_MS / 1000 })
    },
    clear({ request, reply }) {
      if (cookieValues(request.headers.cookie, name).length > 0) reply.clearCookie(name)
    },
  }
}

function addressOf(returnTo: string): string {
  return createHash('sha256').update(returnTo).digest('base64url').slice(0, 12)
}

function readEntry(entry: string): [string, Round] {
  const [address = '', count = '', firstAt = ''] = entry.split(':')
  return [address, { count: Number(count), firstAt: Number(firstAt) }]
}

function writeEntry([address, { count, firstAt }]: readonly [string, Round]): string {
  return `${address}:${count}:${firstAt}`
}

/** Which cookie does not reach which host, and the likely reason, for the page and the log. */
export interface LostCookie {
  readonly cookie: string
  readonly host: string
  readonly sentTo: string
  readonly reason: string
}

export function lostCookie(returnTo: string, { names, domain, secure }: CookiePolicy, publicUrl: string): LostCookie {
  const { host, hostname, protocol } = new URL(returnTo)
  const own = new URL(publicUrl).hostname
  const bare = domain?.replace(/^\./, '')
  const reached = bare === undefined ? hostname === own : hostname === bare || domainsOf(hostname).includes(bare)
  return {
    cookie: names.session,
    host,
    sentTo: bare === undefined ? `${own} alone` : `${bare} and the hosts below it`,
    reason: reached ? reasonOf(secure && protocol === 'http:') : domainFor(own, hostname),
  }
}

/** No cookie is for two addresses, nor for hosts of different domains. */
function domainFor(own: string, hostname: string): string {
  const shared = domainsOf(hostname).some((domain) => domainsOf(own).includes(domain))
  if (shared) return `set session.cookieDomain to a domain that holds ${own} and ${hostname}`
  return `session.cookieDomain cannot hold both ${own} and ${hostname}: give the application a host of the same domain`
}

function reasonOf(withoutTls: boolean): string {
  if (withoutTls) return 'the application is opened with http, and the cookie goes over https alone'
  return 'see whether the proxy passes the Cookie header on to Gatehouse, and whether the browser blocks cookies'
}
