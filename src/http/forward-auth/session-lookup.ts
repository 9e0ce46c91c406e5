// Loads a session from the database: one in-flight query per cookie; a result overtaken by a change is discarded and
// re-read.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError, type ErrorCode } from '../../core/errors.js'
import { sessionIdHash, type SessionRecord, type SessionStore } from '../../core/session.js'
import { endOfRights, type CachedSession, type SessionCache } from '../../core/session-cache.js'
import type { ActivityRecorder, ReadClient } from '../session-activity.js'

export type SessionAnswer =
  | {
    readonly session: SessionRecord
    readonly cached: CachedSession | undefined
    /** From the cache, because the database is unreachable (session.outageGrace). */
    readonly inGrace?: true
  }
  | { readonly session: undefined, readonly reason: NoSessionReason }

export type NoSessionReason = Extract<ErrorCode, 'not_signed_in' | 'session_cookie_doubled' | 'session_unreadable'>

export const NO_SESSION: Readonly<Record<NoSessionReason, SessionAnswer>> = {
  not_signed_in: { session: undefined, reason: 'not_signed_in' },
  session_cookie_doubled: { session: undefined, reason: 'session_cookie_doubled' },
  session_unreadable: { session: undefined, reason: 'session_unreadable' },
}

export interface SessionLookupDeps {
  readonly sessions: Pick<SessionStore, 'find'>
  readonly cache: SessionCache
  readonly activity: ActivityRecorder
  /** How long cached sessions are accepted while the database is unreachable (milliseconds). */
  readonly graceMs: number
  readonly log: Pick<FastifyBaseLogger, 'error'>
  readonly now: () => number
}

/** `client`: of the request that caused the query. */
type Query = (cookie: string, id: string, client?: ReadClient) => Promise<SessionAnswer>

/**
 * A row that took longer to read while a change arrived is read again, so that an ended session is accepted for less
 * than a second.
 */
const SLOW_MS = 500

/**
 * @returns a function that loads the session of an id and caches it under its cookie; it throws `database_unavailable`
 */
export function createSessionLookup(
  deps: SessionLookupDeps,
): Query {
  const read = rowReader(deps)
  const fromGrace = graceFor(deps)
  return coalesce(deps.now, async (cookie, id, client) => {
    try {
      return await read(cookie, id, client) ?? await read(cookie, id, client) ?? tooSlow()
    } catch (error) {
      return fromGrace(cookie, error)
    }
  })
}

/**
 * Coalesces concurrent queries for the same cookie into one. A request that arrives more than `SLOW_MS` after the query
 * began starts a new one.
 */
function coalesce(now: () => number, query: Query): Query {
  const inFlight = new Map<string, { readonly since: number, readonly answer: Promise<SessionAnswer> }>()
  return (cookie, id, client) => {
    const known = inFlight.get(cookie)
    if (known !== undefined && now() - known.since < SLOW_MS) return known.answer // guard: live-late-joiner
    const started = {
      since: now(),
      answer: query(cookie, id, client).finally(() => {
        if (inFlight.get(cookie) === started) inFlight.delete(cookie)
      }),
    }
    inFlight.set(cookie, started) // guard: live-one-query
    return started.answer
  }
}

/**
 * @returns a function that reads the row once; undefined from it: the row may be outdated, because reading was slow or
 *   a membership has ended meanwhile
 */
function rowReader(
  { sessions, cache, activity, now }: SessionLookupDeps,
): (...query: Parameters<Query>) => Promise<SessionAnswer | undefined> {
  return async (cookie, id, client) => {
    const [ticket, began] = [cache.ticket(), now()]
    const session = await sessions.find(id)
    if (!session) {
      cache.forget(cookie)
      cache.rememberNoSession(cookie)
      return NO_SESSION.not_signed_in
    }
    if (endOfRights(session, began) <= now()) return undefined // guard: live-membership-waited
    const hash = sessionIdHash(id).toString('hex')
    const cached = cache.keep(cookie, hash, session, ticket)
    if (cached === undefined && now() - began > SLOW_MS) return undefined // guard: live-slow-row
    if (cached !== undefined) activity.recordIfDue(cached, now(), client)
    else if (session.idleMs >= activity.intervalMs) activity.record(hash, client) // guard: live-use-overtaken
    return { session: cached?.record ?? session, cached }
  }
}

/**
 * While the database is unreachable, cached sessions stay valid for a limited time, except those of staff and
 * superusers: a revoked administrator must not profit from an outage.
 */
function graceFor(
  { cache, graceMs, log, now }: SessionLookupDeps,
): (cookie: string, error: unknown) => SessionAnswer {
  return (cookie, error) => {
    if (error instanceof GatehouseError && error.code === 'session_unreadable') {
      log.error({ code: error.code, detail: error.message, remedy: error.remedy }, 'a session cannot be read')
      cache.forget(cookie)
      return NO_SESSION.session_unreadable
    }
    const known = cache.freshOrStale(cookie)
    if (!(error instanceof GatehouseError) || error.code !== 'database_unavailable' || !known) throw error
    const { record } = known
    // guard: live-privileged, live-membership-outage
    if (record.isStaff || record.isSuperuser || now() - cache.knownAt(known) >= graceMs || known.validUntil <= now()) {
      throw error
    }
    return { session: record, cached: undefined, inGrace: true } // guard: adv-grace-counted
  }
}

function tooSlow(): never {
  throw new GatehouseError('database_unavailable', {
    detail: 'session rows take so long to read that the sessions may have ended meanwhile',
    remedy: 'Check what PostgreSQL is waiting for (pg_stat_activity).',
  })
}
