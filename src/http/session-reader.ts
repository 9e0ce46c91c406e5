// Who sends this request? The auth endpoints ask it on every request of every application, so it reads the signed
// cookie itself: no plugin, no Set-Cookie, no write. A cookie that is known is answered from memory; its signature was
// checked when it was not. That the session is in use is told to the store behind the answer.
import type { Meter } from '../core/meter.js'
import { isSessionId } from '../core/session.js'
import type { CachedSession } from '../core/session-cache.js'
import type { CookieSigner } from './cookie-signer.js'
import { DOUBLED, onlyCookie } from './cookies.js'
import {
  createSessionQuestion,
  NOBODY,
  type NobodyReason,
  type SessionAnswer,
  type SessionQuestionDeps,
} from './session-question.js'

export interface SessionReader {
  /**
   * At once where the cookie is known or worthless. @returns nobody with the reason, where there is no live session
   * @throws `database_unavailable`
   */
  read(cookieHeader: string | undefined): SessionAnswer | Promise<SessionAnswer>
  /** The same from memory alone; undefined: call read(). Does not update the metrics. */
  readCached(cookieHeader: string | undefined): CachedSession | 'anonymous' | undefined
}

export interface SessionReaderDeps extends Omit<SessionQuestionDeps, 'now'> {
  readonly signer: CookieSigner
  readonly cookieName: string
  readonly meter: Pick<Meter, 'sessionFrom'>
  readonly now?: () => number
}

const MAX_COOKIE_LENGTH = 256 // ours has about 90 characters

/** The id in a cookie that we signed; undefined for anything else, also for what we signed for another purpose. */
export function sessionIdOf(value: string, signer: CookieSigner): string | undefined {
  if (value.length > MAX_COOKIE_LENGTH) return undefined
  const { valid, value: id } = signer.unsign(value)
  return valid && id !== null && isSessionId(id) ? id : undefined
}

/**
 * The same for a cookie as it was sent: as we write it, or decoded. With any other spelling one session could have as
 * many entries as somebody likes.
 */
function idAsSent(sent: string, signer: CookieSigner): string | undefined {
  if (sent.length > MAX_COOKIE_LENGTH) return undefined
  if (!sent.includes('%')) return sessionIdOf(sent, signer)
  if (sent.includes('+') || sent.includes('/')) return undefined
  // nothing else in it needs to be encoded
  return sessionIdOf(sent.replaceAll('%2B', '+').replaceAll('%2F', '/'), signer)
}

export function createSessionReader(
  { signer, cookieName, meter: { sessionFrom }, now = () => performance.now(), ...deps }: SessionReaderDeps,
): SessionReader {
  const { cache, toucher } = deps
  const ask = createSessionQuestion({ ...deps, now })
  const nobody = (reason: NobodyReason): SessionAnswer => {
    sessionFrom.nobody++
    return NOBODY[reason]
  }
  const counted = (answer: SessionAnswer): SessionAnswer => {
    sessionFrom[answer.session !== undefined && answer.inGrace === true ? 'grace' : 'database']++
    return answer
  }
  return {
    readCached(cookieHeader) {
      const value = onlyCookie(cookieHeader, cookieName)
      if (value === undefined || value === DOUBLED) return 'anonymous'
      const at = now()
      const known = cache.fresh(value, at)
      if (known !== undefined) {
        toucher.inUse(known, at)
        return known
      }
      return cache.isNobody(value) || idAsSent(value, signer) === undefined ? 'anonymous' : undefined
    },
    read(cookieHeader) {
      const value = onlyCookie(cookieHeader, cookieName)
      if (value === undefined) return nobody('not_signed_in')
      if (value === DOUBLED) return nobody('session_cookie_doubled')
      const at = now()
      const known = cache.fresh(value, at)
      if (known) {
        sessionFrom.memory++
        toucher.inUse(known, at)
        return { session: known.record, cached: known }
      }
      if (cache.isNobody(value)) return nobody('not_signed_in')
      const id = idAsSent(value, signer)
      if (id === undefined) return nobody('session_unreadable')
      return ask(value, id).then(counted)
    },
  }
}
