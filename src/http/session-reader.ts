// Who sends this request? The auth endpoints ask it on every request of every application, so it reads the signed
// cookie itself: no plugin, no Set-Cookie, no write. That the session is in use is told to the store behind the answer.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { isSessionId, type SessionRecord, type SessionStore } from '../core/session.js'
import { cookieValues } from './cookies.js'

export interface CookieSigner {
  sign(value: string): string
  unsign(value: string): { readonly valid: boolean, readonly renew: boolean, readonly value: string | null }
}

export interface SessionReader {
  /** @returns nobody with the reason, where there is no live session @throws `database_unavailable` */
  read(cookieHeader: string | undefined): Promise<SessionAnswer>
}

export type SessionAnswer =
  | { readonly session: SessionRecord }
  | { readonly session: undefined, readonly reason: Extract<ErrorCode, 'not_signed_in' | 'session_cookie_doubled' | 'session_unreadable'> }

export interface SessionReaderDeps {
  readonly signer: CookieSigner
  readonly cookieName: string
  readonly sessions: SessionStore
  readonly touch: (id: string, session: SessionRecord) => void
}

export interface ToucherDeps {
  readonly sessions: SessionStore
  /** The store is told when it was not for this long (milliseconds). */
  readonly touchAfterMs: number
  readonly log: FastifyBaseLogger
}

const MAX_COOKIE_LENGTH = 256 // ours has about 90 characters

/** At most once a minute, and never later than a tenth of the idle timeout: who works behind the proxy is not idle. */
export function touchInterval(idleTimeoutMs: number): number {
  return Math.min(60_000, idleTimeoutMs / 10)
}

/** Tells the store behind the answer that a session is in use; never fails, never twice at once. */
export function createToucher({ sessions, touchAfterMs, log }: ToucherDeps): (id: string, session: SessionRecord) => void {
  const touching = new Set<string>()
  return (id, session) => {
    if (session.idleMs < touchAfterMs || touching.has(session.publicId)) return
    touching.add(session.publicId)
    sessions.touch(id)
      .catch((error: unknown) => { if (!(error instanceof GatehouseError)) log.error({ err: error, session: session.publicId }, 'a session in use could not be noted') })
      .finally(() => touching.delete(session.publicId))
  }
}

/** The id in a cookie that we signed; undefined for anything else, also for what we signed for another purpose. */
export function sessionIdOf(value: string, signer: CookieSigner): string | undefined {
  if (value.length > MAX_COOKIE_LENGTH) return undefined
  const { valid, value: id } = signer.unsign(value)
  return valid && id !== null && isSessionId(id) ? id : undefined
}

export function createSessionReader({ signer, cookieName, sessions, touch }: SessionReaderDeps): SessionReader {
  return {
    async read(cookieHeader) {
      const [value, second] = cookieValues(cookieHeader, cookieName)
      if (value === undefined) return nobody('not_signed_in')
      if (second !== undefined) return nobody('session_cookie_doubled')
      const id = sessionIdOf(value, signer)
      if (id === undefined) return nobody('session_unreadable')
      const session = await sessions.find(id)
      if (!session) return nobody('not_signed_in')
      touch(id, session)
      return { session }
    },
  }
}

function nobody(reason: Exclude<SessionAnswer, { session: SessionRecord }>['reason']): SessionAnswer {
  return { session: undefined, reason }
}
