// Finds the session of a request. The auth endpoints do this on every request of every application, so it reads the
// signed cookie itself: no plugin, no Set-Cookie, no write. A cached cookie is answered from memory; its signature was
// checked when it entered the cache. The session's activity is recorded after the answer (session-activity.ts).
import type { Meter } from '../../core/meter.js'
import { isSessionId } from '../../core/session.js'
import type { CachedSession } from '../../core/session-cache.js'
import type { ReadClient } from '../session-activity.js'
import type { CookieSigner } from '../cookie-signer.js'
import { DOUBLED, onlyCookie } from '../cookies.js'
import {
  createSessionLookup,
  NO_SESSION,
  type NoSessionReason,
  type SessionAnswer,
  type SessionLookupDeps,
} from './session-lookup.js'

export interface SessionResolver {
  /**
   * Synchronous where the cookie is cached or invalid. @returns no session, with the reason, where none is active
   * @throws `database_unavailable`
   */
  resolve(cookieHeader: string | undefined, client?: ReadClient): SessionAnswer | Promise<SessionAnswer>
  /** The same from memory alone; undefined: call resolve(), also where it records the client. Updates no metrics. */
  resolveCached(cookieHeader: string | undefined): CachedSession | 'anonymous' | undefined
}

export interface SessionResolverDeps extends Omit<SessionLookupDeps, 'now'> {
  readonly signer: CookieSigner
  readonly cookieName: string
  readonly meter: Pick<Meter, 'sessionLookups'>
  readonly now?: () => number
}

const MAX_COOKIE_LENGTH = 256 // a session cookie has about 90 characters

/** The session id of a signed cookie; undefined for anything else, also for values signed for another purpose. */
export function sessionIdOf(value: string, signer: CookieSigner): string | undefined {
  if (value.length > MAX_COOKIE_LENGTH) return undefined
  const { valid, value: id } = signer.unsign(value)
  return valid && id !== null && isSessionId(id) ? id : undefined // guard: adv-cookie-signed
}

/**
 * The same for a cookie as the client sent it: percent-encoded as Gatehouse writes it, or decoded. Any other spelling
 * is rejected, because one session could otherwise fill any number of cache entries.
 */
function idAsSent(sent: string, signer: CookieSigner): string | undefined {
  if (sent.length > MAX_COOKIE_LENGTH) return undefined
  if (!sent.includes('%')) return sessionIdOf(sent, signer)
  if (sent.includes('+') || sent.includes('/')) return undefined // guard: live-one-spelling
  // no other character of it needs encoding
  return sessionIdOf(sent.replaceAll('%2B', '+').replaceAll('%2F', '/'), signer)
}

export function createSessionResolver(
  { signer, cookieName, meter: { sessionLookups }, now = () => performance.now(), ...deps }: SessionResolverDeps,
): SessionResolver {
  const { cache, activity } = deps
  const lookup = createSessionLookup({ ...deps, now })
  const noSession = (reason: NoSessionReason): SessionAnswer => {
    sessionLookups.none++
    return NO_SESSION[reason]
  }
  const counted = (answer: SessionAnswer): SessionAnswer => {
    sessionLookups[answer.session !== undefined && answer.inGrace === true ? 'grace' : 'database']++
    return answer
  }
  return {
    resolveCached(cookieHeader) {
      const value = onlyCookie(cookieHeader, cookieName)
      if (value === undefined || value === DOUBLED) return 'anonymous'
      const at = now()
      const known = cache.fresh(value, at)
      if (known !== undefined) {
        if (activity.needsClient(known, at)) return undefined // guard: live-client-route
        activity.recordIfDue(known, at)
        return known
      }
      return cache.hasNoSession(value) || idAsSent(value, signer) === undefined ? 'anonymous' : undefined
    },
    resolve(cookieHeader, client) {
      const value = onlyCookie(cookieHeader, cookieName)
      if (value === undefined) return noSession('not_signed_in')
      if (value === DOUBLED) return noSession('session_cookie_doubled')
      const at = now()
      const known = cache.fresh(value, at)
      if (known) {
        sessionLookups.memory++
        activity.recordIfDue(known, at, client)
        return { session: known.record, cached: known }
      }
      if (cache.hasNoSession(value)) return noSession('not_signed_in') // guard: live-no-session
      const id = idAsSent(value, signer)
      if (id === undefined) return noSession('session_unreadable')
      return lookup(value, id, client).then(counted)
    },
  }
}
