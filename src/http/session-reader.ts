// Who sends this request? The auth endpoints ask it on every request of every application, so it reads the signed cookie
// itself: no plugin, no Set-Cookie, no write. A cookie that is known is answered from memory; its signature was checked when it
// was not. That the session is in use is told to the store behind the answer.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import type { Meter } from '../core/meter.js'
import { isSessionId, sessionIdHash, type SessionRecord, type SessionStore } from '../core/session.js'
import type { CachedSession, SessionCache } from '../core/session-cache.js'
import type { CookieSigner } from './cookie-signer.js'
import { DOUBLED, onlyCookie } from './cookies.js'
import type { Toucher } from './toucher.js'

export interface SessionReader {
  /** At once where the cookie is known or worthless. @returns nobody with the reason, where there is no live session @throws `database_unavailable` */
  read(cookieHeader: string | undefined): SessionAnswer | Promise<SessionAnswer>
  /** The same where nothing but memory is needed. Counts nothing. */
  atOnce(cookieHeader: string | undefined): CachedSession | 'nobody' | undefined
}

export type SessionAnswer =
  | { readonly session: SessionRecord, readonly cached: CachedSession | undefined }
  | { readonly session: undefined, readonly reason: NobodyReason }

export type NobodyReason = Extract<ErrorCode, 'not_signed_in' | 'session_cookie_doubled' | 'session_unreadable'>

export interface SessionReaderDeps {
  readonly signer: CookieSigner
  readonly cookieName: string
  readonly sessions: Pick<SessionStore, 'find'>
  readonly cache: SessionCache
  readonly toucher: Toucher
  /** How long a warm session goes on while the database is unreachable (milliseconds). */
  readonly graceMs: number
  readonly log: Pick<FastifyBaseLogger, 'error'>
  readonly meter: Pick<Meter, 'sessionFrom'>
  readonly now?: () => number
}

const MAX_COOKIE_LENGTH = 256 // ours has about 90 characters
/** A row that took longer to read, while something changed, is read again: what ended is believed for less than a second. */
const SLOW_MS = 500

/** The id in a cookie that we signed; undefined for anything else, also for what we signed for another purpose. */
export function sessionIdOf(value: string, signer: CookieSigner): string | undefined {
  if (value.length > MAX_COOKIE_LENGTH) return undefined
  const { valid, value: id } = signer.unsign(value)
  return valid && id !== null && isSessionId(id) ? id : undefined
}

/** The same for a cookie as it was sent: as we write it, or decoded. With any other spelling one session could have as many entries as somebody likes. */
function idAsSent(sent: string, signer: CookieSigner): string | undefined {
  if (sent.length > MAX_COOKIE_LENGTH) return undefined
  if (!sent.includes('%')) return sessionIdOf(sent, signer)
  if (sent.includes('+') || sent.includes('/')) return undefined
  return sessionIdOf(sent.replaceAll('%2B', '+').replaceAll('%2F', '/'), signer) // nothing else in it needs to be encoded
}

export function createSessionReader({ signer, cookieName, sessions, cache, toucher, graceMs, log, meter: { sessionFrom }, now = () => performance.now() }: SessionReaderDeps): SessionReader {
  /** One question for a cookie, however many requests come with it meanwhile; who comes later than `SLOW_MS` asks anew. */
  const asking = new Map<string, { readonly since: number, readonly answer: Promise<SessionAnswer> }>()
  const ask = (value: string, id: string): Promise<SessionAnswer> => {
    const known = asking.get(value)
    if (known !== undefined && now() - known.since < SLOW_MS) return known.answer
    const asked = { since: now(), answer: answer(value, id).finally(() => { if (asking.get(value) === asked) asking.delete(value) }) }
    asking.set(value, asked)
    return asked.answer
  }
  const answer = async (value: string, id: string): Promise<SessionAnswer> => {
    try {
      return await readRow(value, id) ?? await readRow(value, id) ?? tooSlow()
    } catch (error) {
      return warm(value, error)
    }
  }
  /** @returns undefined where what was read may have been over for long */
  const readRow = async (value: string, id: string): Promise<SessionAnswer | undefined> => {
    const [ticket, began] = [cache.ticket(), now()]
    const session = await sessions.find(id)
    if (!session) {
      cache.forget(value)
      cache.keepNobody(value)
      return NOBODY.not_signed_in
    }
    const hash = sessionIdHash(id).toString('hex')
    const cached = cache.keep(value, hash, session, ticket)
    if (cached === undefined && now() - began > SLOW_MS) return undefined
    if (cached === undefined) toucher.touch(hash)
    else inUse(cached, now())
    return { session: cached?.record ?? session, cached }
  }
  /** Staff and superusers get nothing of the grace: a revoked administrator must not profit from an outage. */
  const warm = (value: string, error: unknown): SessionAnswer => {
    if (error instanceof GatehouseError && error.code === 'session_unreadable') {
      log.error({ code: error.code, detail: error.message, remedy: error.remedy }, 'a session cannot be read')
      cache.forget(value)
      return NOBODY.session_unreadable
    }
    const known = cache.remembered(value)
    if (!(error instanceof GatehouseError) || error.code !== 'database_unavailable' || !known) throw error
    const { record } = known
    if (record.isStaff || record.isSuperuser || now() - cache.knownAt(known) >= graceMs || known.freshUntil <= now()) throw error
    return { session: record, cached: undefined }
  }
  const inUse = (cached: CachedSession, at: number): void => {
    if (cached.touchDue > at) return
    cached.touchDue = at + toucher.everyMs
    toucher.touch(cached.hash)
  }
  const nobody = (reason: NobodyReason): SessionAnswer => {
    sessionFrom.nobody++
    return NOBODY[reason]
  }
  return {
    atOnce(cookieHeader) {
      const value = onlyCookie(cookieHeader, cookieName)
      if (value === undefined || value === DOUBLED) return 'nobody'
      const at = now()
      const known = cache.fresh(value, at)
      if (known !== undefined) {
        inUse(known, at)
        return known
      }
      return cache.isNobody(value) || idAsSent(value, signer) === undefined ? 'nobody' : undefined
    },
    read(cookieHeader) {
      const value = onlyCookie(cookieHeader, cookieName)
      if (value === undefined) return nobody('not_signed_in')
      if (value === DOUBLED) return nobody('session_cookie_doubled')
      const at = now()
      const known = cache.fresh(value, at)
      if (known) {
        sessionFrom.memory++
        inUse(known, at)
        return { session: known.record, cached: known }
      }
      if (cache.isNobody(value)) return nobody('not_signed_in')
      const id = idAsSent(value, signer)
      if (id === undefined) return nobody('session_unreadable')
      sessionFrom.database++
      return ask(value, id)
    },
  }
}

function tooSlow(): never {
  throw new GatehouseError('database_unavailable', { detail: 'rows of sessions take so long to read that they may be over by then', remedy: 'See what PostgreSQL waits for (pg_stat_activity).' })
}

const NOBODY: Readonly<Record<NobodyReason, SessionAnswer>> = {
  not_signed_in: { session: undefined, reason: 'not_signed_in' },
  session_cookie_doubled: { session: undefined, reason: 'session_cookie_doubled' },
  session_unreadable: { session: undefined, reason: 'session_unreadable' },
}
