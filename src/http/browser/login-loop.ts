// Detects an endless sign-in: the application does not receive the session cookie and sends the browser back here as
// soon as the user is signed in. Each sign-in succeeds, so no error ends the loop. A cookie of this host, which does
// arrive, keeps for a minute the addresses for which this browser has completed a sign-in, and how many in succession.
// Tabs that are opened together are not counted: none of their sign-ins begins after another one has completed and been
// counted.
import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Round } from '../../core/login-flow.js'
import type { CookieSigner } from '../cookie-signer.js'
import { cookieValues, domainsOf, type CookiePolicy } from '../cookies.js'
import type { HttpExchange } from '../http-exchange.js'

export const MAX_ROUNDS = 2
const WINDOW_MS = 60_000
const MAX_ADDRESSES = 8 // the latest ones: the cookie stays below 400 bytes
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
    const { valid, value } = signer.unsign(sent) // guard: adv-loop-forged
    if (!valid || !value?.startsWith(PREFIX)) return []
    return value
      .slice(PREFIX.length)
      .split(' ')
      .map(readEntry)
      .filter(([, { firstAt }]) => now() - firstAt < WINDOW_MS) // guard: adv-loop-minute
  }
  return {
    nextRound(returnTo, request) {
      const address = addressOf(returnTo)
      const [, before] = remembered(request).find(([each]) => each === address) ?? []
      if (before === undefined) return { count: 1, firstAt: now() }
      return { count: before.count + 1, firstAt: before.firstAt } // guard: adv-loop-tabs
    },
    recordCompleted(returnTo, round, { request, reply }) {
      const address = addressOf(returnTo)
      const others = remembered(request).filter(([each]) => each !== address)
      const entries = [...others, [address, round] as const].slice(-MAX_ADDRESSES).map(writeEntry)
      reply.setCookie(name, signer.sign(`${PREFIX}${entries.join(' ')}`), { maxAge: WINDOW_MS / 1000 })
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

/** The cookie that does not reach a host, and the likely reason, for the page and the log. */
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
    sentTo: bare === undefined ? `${own} only` : `${bare} and its subdomains`,
    reason: reached ? likelyReason(secure && protocol === 'http:') : cookieDomainAdvice(own, hostname),
  }
}

/** A cookie cannot be valid for two IP addresses or for hosts of different domains. */
function cookieDomainAdvice(own: string, hostname: string): string {
  const shared = domainsOf(hostname).some((domain) => domainsOf(own).includes(domain))
  if (shared) return `set session.cookieDomain to a domain that holds ${own} and ${hostname}`
  return `session.cookieDomain cannot hold both ${own} and ${hostname}: give the application a host of the same domain`
}

function likelyReason(withoutTls: boolean): string {
  if (withoutTls) return 'the application is opened with http, and the cookie is sent over https only'
  return 'check that the proxy forwards the Cookie header to Gatehouse and that the browser does not block cookies'
}
