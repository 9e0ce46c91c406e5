// Session cache, keyed by the session cookie. An entry is served without a query while the change feed is connected; a
// change notification invalidates the entries it names, and a stale entry is read again from the database.
import { copyOf } from './latin1.js'
import { sessionIdHash, type SessionRecord, type SessionStore } from './session.js'
import { createSessionEntries, type SessionEntries, type SessionEntry } from './session-cache-entries.js'

/** A change notification: it carries ids only. */
export type ChangeNotification =
  | { readonly kind: 'sessions', readonly hashes: readonly string[] }
  | { readonly kind: 'users', readonly ids: readonly string[] }
  | { readonly kind: 'everything' }

/** State of the change feed (store/change-feed/feed.ts). */
export interface ChangeFeed {
  /**
   * No notification can have been missed: cached sessions may be served. @param at the time now, by the clock of
   * SessionCacheOptions.now
   */
  connected(at?: number): boolean
  /** When the feed was last known to be complete; the clock of SessionCacheOptions.now. */
  lastReceivedAt(): number
}

export interface CachedSession extends SessionEntry {
  readonly record: SessionRecord
  readonly readAt: number
  /**
   * Idle timeout, absolute timeout or the end of a membership, whichever comes first, as far as this process knows: not
   * served after it, not even while the database is unreachable.
   */
  readonly validUntil: number
  /** Then it is read again. Not later than validUntil. */
  readonly freshUntil: number
  /** When the session's last activity is next written to the store. */
  touchDue: number
  /** Invalidated by a change notification: never served again, not even while the database is unreachable. */
  changed: boolean
  /** The feed's epoch when it was read. A new epoch starts where a notification may have been missed. */
  readonly epoch: number
  /** Response headers derived from it (http/forward-auth/identity-header-cache.ts). */
  prepared: unknown
}

/** The state of the cache before a read. */
export interface ReadTicket {
  readonly sequence: number
  readonly at: number
}

export interface SessionCache {
  /** An entry that is valid without a query. @param at the time now, where it was read already */
  fresh(cookie: string, at?: number): CachedSession | undefined
  /** Also returns stale entries (not invalidated ones), for use while the database is unreachable. */
  freshOrStale(cookie: string): CachedSession | undefined
  /** When the entry was last known to agree with the database. */
  knownAt(entry: CachedSession): number
  /** Taken before a read; a read that a change overtakes is not kept. */
  ticket(): ReadTicket
  keep(cookie: string, hash: string, record: SessionRecord, ticket: ReadTicket): CachedSession | undefined
  /** The cookie has no session: the negative cache holds it for a limited time. */
  rememberNoSession(cookie: string): void
  hasNoSession(cookie: string): boolean
  /** The database has no such session any more. */
  forget(cookie: string): void
  apply(change: ChangeNotification): void
  /** A notification may have been missed: every entry becomes stale, and is known to hold when it was read alone. */
  markAllStale(): void
  readonly size: number
}

export interface SessionCacheOptions {
  readonly feed: ChangeFeed
  /** Number of sessions; the least recently used are evicted first. */
  readonly capacity: number
  readonly touchAfterMs: number
  /** Monotonic milliseconds: unaffected by changes of the system clock. */
  readonly now?: () => number
}

/**
 * A record with a membership that ends is read again so often. The clock of this machine therefore counts for a minute
 * of the time until the end, and a database whose clock was set is noticed.
 */
const READ_AGAIN_MS = 60_000
const NEGATIVE_CAPACITY = 20_000
const NEGATIVE_TTL_MS = 5_000

export function createSessionCache(
  { feed, capacity, touchAfterMs, now = () => performance.now() }: SessionCacheOptions,
): SessionCache {
  const entries = createSessionEntries<CachedSession>(capacity)
  const intern = createRecordInterner(capacity / 10)
  const negative = createNegativeCache(now)
  let sequence = 0
  let epoch = 0
  return {
    fresh(cookie, at = now()) {
      const entry = entries.use(cookie)
      // guard: live-feed, live-stretch
      const isValid = entry !== undefined && !entry.changed && entry.epoch === epoch && entry.freshUntil > at
      return isValid && feed.connected(at) ? entry : undefined
    },
    freshOrStale(cookie) {
      const entry = entries.use(cookie)
      return entry?.changed ? undefined : entry
    },
    knownAt(entry) {
      return entry.epoch === epoch ? Math.max(entry.readAt, feed.lastReceivedAt()) : entry.readAt
    },
    ticket: () => ({ sequence, at: now() }),
    keep(cookie, hash, record, ticket) {
      if (ticket.sequence !== sequence) return undefined // guard: live-ticket
      const readAt = Math.floor(now()) // V8 stores small integers inline
      // guard: live-membership-asked
      const entry = createEntry(intern(record), hash, { askedAt: ticket.at, readAt, epoch, touchAfterMs })
      entries.put(copyOf(cookie), entry)
      return entry
    },
    rememberNoSession: (cookie) => negative.keep(cookie),
    hasNoSession: (cookie) => negative.has(cookie) && feed.connected(),
    forget: (cookie) => entries.forget(cookie),
    apply(notification) {
      sequence++
      invalidateEntries(entries, notification)
      if (notification.kind === 'everything') negative.clear()
    },
    markAllStale() {
      sequence++
      epoch++
    },
    get size() {
      return entries.size
    },
  }
}

interface ReadFacts {
  readonly askedAt: number
  readonly readAt: number
  readonly epoch: number
  readonly touchAfterMs: number
}

/**
 * Counted from before the read: the database computed the time that is left later than that, so the result is never
 * later than the end. @param askedAt monotonic milliseconds
 */
export function endOfRights({ rightsEndInMs }: SessionRecord, askedAt: number): number {
  return rightsEndInMs === null ? Infinity : Math.floor(askedAt + rightsEndInMs) // guard: live-membership-end
}

function createEntry(
  record: SessionRecord,
  hash: string,
  { askedAt, readAt, epoch, touchAfterMs }: ReadFacts,
): CachedSession {
  const rightsUntil = endOfRights(record, askedAt)
  const validUntil = Math.min(readAt + record.expiresInMs, rightsUntil)
  return {
    record,
    userId: record.userId,
    hash,
    readAt,
    validUntil,
    freshUntil: rightsUntil === Infinity ? validUntil : Math.min(validUntil, readAt + READ_AGAIN_MS),
    touchDue: readAt + touchAfterMs - record.idleMs,
    changed: false,
    epoch,
    prepared: undefined,
  }
}

function invalidateEntries(entries: SessionEntries<CachedSession>, notification: ChangeNotification): void {
  const invalidate = (entry: CachedSession): void => {
    entry.changed = true // guard: rights-read-each-time
  }
  // guard: live-notified-users
  if (notification.kind === 'users') { for (const id of notification.ids) entries.ofUser(id).forEach(invalidate) }
  if (notification.kind === 'sessions') {
    for (const hash of notification.hashes) entries.forgetHash(hash) // an ended session never returns
  }
  if (notification.kind === 'everything') { for (const entry of entries.all()) invalidate(entry) }
}

/** Remembers cookies that have no session, for a limited time. */
function createNegativeCache(now: () => number) {
  const until = new Map<string, number>() // ordered by expiry
  return {
    keep(cookie: string): void {
      for (const [first, end] of until) {
        if (end > now() && until.size < NEGATIVE_CAPACITY) break
        until.delete(first)
      }
      until.delete(cookie)
      until.set(copyOf(cookie), now() + NEGATIVE_TTL_MS) // guard: live-no-session-copied
    },
    has(cookie: string): boolean {
      const end = until.get(cookie)
      return end !== undefined && end > now()
    },
    clear: (): void => until.clear(),
  }
}

/** Interns equal strings and lists of a record: most users share their groups and their tenant with others. */
function createRecordInterner(capacity: number): (record: SessionRecord) => SessionRecord {
  let interned = new Map<string, string | readonly string[]>()
  const one = <T extends string | readonly string[]>(value: T): T => {
    const key = typeof value === 'string' ? value : value.join('\n')
    const known = interned.get(key)
    if (known !== undefined && typeof known === typeof value) return known as T
    if (interned.size >= capacity) interned = new Map()
    interned.set(key, value)
    return value
  }
  return (record) => ({
    ...record,
    email: record.email === record.username ? record.username : record.email,
    tid: record.tid && one(record.tid),
    groups: one(record.groups),
    permissions: one(record.permissions),
    expiresInMs: Math.floor(record.expiresInMs),
    idleMs: Math.ceil(record.idleMs),
    rightsEndInMs: record.rightsEndInMs === null ? null : Math.floor(record.rightsEndInMs),
  })
}

/**
 * Evicts a session from the local cache before deleting it, even if the delete then fails, and once more afterwards:
 * what remembers the end (store/lost-history/) must not date it before the commit.
 */
export function invalidateOnWrite(store: SessionStore, cache: Pick<SessionCache, 'apply'>): SessionStore {
  return {
    find: (id) => store.find(id),
    touch: (uses) => store.touch(uses),
    async end(id, correlationId) {
      const change = { kind: 'sessions', hashes: [sessionIdHash(id).toString('hex')] } as const
      cache.apply(change)
      // guard: lost-end-dated
      await store.end(id, correlationId)
      cache.apply(change)
    },
    async endByEntraSid(sid, correlationId) {
      const hashes = await store.endByEntraSid(sid, correlationId)
      cache.apply({ kind: 'sessions', hashes: hashes.map((hash) => hash.toString('hex')) })
      return hashes
    },
  }
}
