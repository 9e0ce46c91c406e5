// Whose session is it? asked of the database: once at a time for a cookie, and nothing is believed because it was read
// slowly.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { sessionIdHash, type SessionRecord, type SessionStore } from '../core/session.js'
import type { CachedSession, SessionCache } from '../core/session-cache.js'
import type { Toucher } from './toucher.js'

export type SessionAnswer =
  | {
    readonly session: SessionRecord
    readonly cached: CachedSession | undefined
    /** The database is unreachable, and this is what was remembered. */
    readonly inGrace?: true
  }
  | { readonly session: undefined, readonly reason: NobodyReason }

export type NobodyReason = Extract<ErrorCode, 'not_signed_in' | 'session_cookie_doubled' | 'session_unreadable'>

export const NOBODY: Readonly<Record<NobodyReason, SessionAnswer>> = {
  not_signed_in: { session: undefined, reason: 'not_signed_in' },
  session_cookie_doubled: { session: undefined, reason: 'session_cookie_doubled' },
  session_unreadable: { session: undefined, reason: 'session_unreadable' },
}

export interface SessionQuestionDeps {
  readonly sessions: Pick<SessionStore, 'find'>
  readonly cache: SessionCache
  readonly toucher: Toucher
  /** How long a warm session goes on while the database is unreachable (milliseconds). */
  readonly graceMs: number
  readonly log: Pick<FastifyBaseLogger, 'error'>
  readonly now: () => number
}

/**
 * A row that took longer to read, while something changed, is read again: what ended is believed for less than a
 * second.
 */
const SLOW_MS = 500

/** @returns asks for the session of an id, and keeps it in memory under its cookie; throws `database_unavailable` */
export function createSessionQuestion(
  deps: SessionQuestionDeps,
): (cookie: string, id: string) => Promise<SessionAnswer> {
  const read = rowReader(deps)
  const warm = graceFor(deps)
  return joined(deps.now, async (cookie, id) => {
    try {
      return await read(cookie, id) ?? await read(cookie, id) ?? tooSlow()
    } catch (error) {
      return warm(cookie, error)
    }
  })
}

/**
 * One question for a cookie, however many requests come with it meanwhile; who comes later than `SLOW_MS` asks anew.
 */
function joined(
  now: () => number,
  ask: (cookie: string, id: string) => Promise<SessionAnswer>,
): (cookie: string, id: string) => Promise<SessionAnswer> {
  const asking = new Map<string, { readonly since: number, readonly answer: Promise<SessionAnswer> }>()
  return (cookie, id) => {
    const known = asking.get(cookie)
    if (known !== undefined && now() - known.since < SLOW_MS) return known.answer
    const asked = {
      since: now(),
      answer: ask(cookie, id).finally(() => {
        if (asking.get(cookie) === asked) asking.delete(cookie)
      }),
    }
    asking.set(cookie, asked)
    return asked.answer
  }
}

/** @returns reads once; undefined where what was read may have been over for long */
function rowReader(
  { sessions, cache, toucher, now }: SessionQuestionDeps,
): (cookie: string, id: string) => Promise<SessionAnswer | undefined> {
  return async (cookie, id) => {
    const [ticket, began] = [cache.ticket(), now()]
    const session = await sessions.find(id)
    if (!session) {
      cache.forget(cookie)
      cache.keepNobody(cookie)
      return NOBODY.not_signed_in
    }
    const hash = sessionIdHash(id).toString('hex')
    const cached = cache.keep(cookie, hash, session, ticket)
    if (cached === undefined && now() - began > SLOW_MS) return undefined
    if (cached === undefined) toucher.touch(hash)
    else toucher.inUse(cached, now())
    return { session: cached?.record ?? session, cached }
  }
}

/**
 * For a while, what is remembered of people who are neither staff nor superusers: a revoked administrator must not
 * profit from an outage.
 */
function graceFor(
  { cache, graceMs, log, now }: SessionQuestionDeps,
): (cookie: string, error: unknown) => SessionAnswer {
  return (cookie, error) => {
    if (error instanceof GatehouseError && error.code === 'session_unreadable') {
      log.error({ code: error.code, detail: error.message, remedy: error.remedy }, 'a session cannot be read')
      cache.forget(cookie)
      return NOBODY.session_unreadable
    }
    const known = cache.remembered(cookie)
    if (!(error instanceof GatehouseError) || error.code !== 'database_unavailable' || !known) throw error
    const { record } = known
    if (record.isStaff || record.isSuperuser || now() - cache.knownAt(known) >= graceMs || known.freshUntil <= now()) {
      throw error
    }
    return { session: record, cached: undefined, inGrace: true }
  }
}

function tooSlow(): never {
  throw new GatehouseError('database_unavailable', {
    detail: 'rows of sessions take so long to read that they may be over by then',
    remedy: 'See what PostgreSQL waits for (pg_stat_activity).',
  })
}
