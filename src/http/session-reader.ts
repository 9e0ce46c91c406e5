// Who sends this request? The auth endpoints ask it on every request of every application, so it reads the signed
// cookie itself: no plugin, no Set-Cookie, no write. That the session is in use is told to the store behind the answer.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import type { SessionRecord, SessionStore } from '../core/session.js'
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
  /** A session in use is told to the store when it was not for this long (milliseconds). */
  readonly touchAfterMs: number
  readonly log: FastifyBaseLogger
}

const MAX_COOKIE_LENGTH = 256 // ours has about 90 characters

/** At most once a minute, and never later than a tenth of the idle timeout: who works behind the proxy is not idle. */
export function touchInterval(idleTimeoutMs: number): number {
  return Math.min(60_000, idleTimeoutMs / 10)
}

export function createSessionReader({ signer, cookieName, sessions, touchAfterMs, log }: SessionReaderDeps): SessionReader {
  const touching = new Set<string>()
  const touchLater = (id: string, session: SessionRecord): void => {
    if (session.idleMs < touchAfterMs || touching.has(session.publicId)) return
    touching.add(session.publicId)
    sessions.touch(id)
      .catch((error: unknown) => { if (!(error instanceof GatehouseError)) log.error({ err: error, session: session.publicId }, 'a session in use could not be noted') })
      .finally(() => touching.delete(session.publicId))
  }
  return {
    async read(cookieHeader) {
      const [value, second] = cookieValues(cookieHeader, cookieName)
      if (value === undefined) return nobody('not_signed_in')
      if (second !== undefined) return nobody('session_cookie_doubled')
      const id = value.length <= MAX_COOKIE_LENGTH ? signer.unsign(value) : undefined
      if (!id?.valid || id.value === null) return nobody('session_unreadable')
      const session = await sessions.find(id.value)
      if (!session) return nobody('not_signed_in')
      touchLater(id.value, session)
      return { session }
    },
  }
}

function nobody(reason: Exclude<SessionAnswer, { session: SessionRecord }>['reason']): SessionAnswer {
  return { session: undefined, reason }
}
