// Sessions as this process last read them, by the cookie they came with. What is in here is served without asking the
// database for as long as changes are heard of; a change takes out what it names, and whatever is in doubt is read
// again.
import { copyOf } from './latin1.js'
import { sessionIdHash, type SessionRecord, type SessionStore } from './session.js'
import { createSessionEntries, type SessionEntry } from './session-entries.js'

/** What a replica is told: ids alone. */
export type Change =
  | { readonly kind: 'sessions', readonly hashes: readonly string[] }
  | { readonly kind: 'users', readonly ids: readonly string[] }
  | { readonly kind: 'everything' }

/** How far changes have been heard of. */
export interface ChangeFeed {
  /**
   * Nothing can have been missed: what is cached may be served. @param at the time now, by the clock of
   * SessionCacheOptions.now
   */
  live(at?: number): boolean
  /** When the feed was last known to be complete; the clock of SessionCacheOptions.now. */
  heardAt(): number
}

export interface CachedSession extends SessionEntry {
  readonly record: SessionRecord
  readonly readAt: number
  /** Idle or absolute timeout, whichever comes first, as far as this process knows: then it is read again. */
  readonly freshUntil: number
  /** When the store is to be told that the session is in use. */
  touchDue: number
  /** A change was told: whatever was read before it is not served any more, whoever cannot be asked. */
  changed: boolean
  /** Which stretch of the feed it was read in: a stretch ends where something may have been missed. */
  readonly stretch: number
  /** Answers made of it (http/prepared-headers.ts). */
  prepared: unknown
}

export interface SessionCache {
  /** What may be served as it is. @param at the time now, where it was read already */
  fresh(cookie: string, at?: number): CachedSession | undefined
  /** Also what is in doubt, but nothing that a change was told of: for the time in which nobody can be asked. */
  remembered(cookie: string): CachedSession | undefined
  /** When what is remembered was last known to hold. */
  knownAt(entry: CachedSession): number
  /** Taken before a reading; a change that comes meanwhile makes the reading one that is not kept. */
  ticket(): number
  keep(cookie: string, hash: string, record: SessionRecord, ticket: number): CachedSession | undefined
  /** No session: not asked again for a while. */
  keepNobody(cookie: string): void
  isNobody(cookie: string): boolean
  /** The database says that this one is over. */
  forget(cookie: string): void
  apply(change: Change): void
  /**
   * Something may have been missed: everything is read again. @param knownUntil until when what is cached is known to
   * have held
   */
  doubtEverything(knownUntil: number): void
  readonly size: number
}

export interface SessionCacheOptions {
  readonly feed: ChangeFeed
  /** Sessions; the ones not used for longest go first. */
  readonly capacity?: number
  readonly touchAfterMs: number
  /** Monotonic milliseconds: a clock that jumps changes nothing. */
  readonly now?: () => number
}

const CAPACITY = 200_000
const NOBODIES = 20_000
const NOBODY_MS = 5_000

export function createSessionCache(
  { feed, capacity = CAPACITY, touchAfterMs, now = () => performance.now() }: SessionCacheOptions,
): SessionCache {
  const entries = createSessionEntries<CachedSession>(capacity)
  const lean = leanRecords(capacity / 10)
  const nobodies = createNobodies(now)
  let sequence = 0
  let stretch = 0
  let lastStretchKnownUntil = -Infinity
  const change = (entry: CachedSession): void => {
    entry.changed = true
  }

  return {
    fresh(cookie, at = now()) {
      const entry = entries.use(cookie)
      return entry !== undefined && !entry.changed && entry.stretch === stretch && entry.freshUntil > at &&
          feed.live(at)
        ? entry
        : undefined
    },
    remembered(cookie) {
      const entry = entries.use(cookie)
      return entry?.changed ? undefined : entry
    },
    knownAt: (entry) =>
      Math.max(
        entry.readAt,
        entry.stretch === stretch ? feed.heardAt() : entry.stretch === stretch - 1 ? lastStretchKnownUntil : -Infinity,
      ),
    ticket: () => sequence,
    keep(cookie, hash, record, ticket) {
      if (ticket !== sequence) return undefined
      const readAt = Math.floor(now()) // small whole numbers take no memory of their own
      const own = lean(record)
      const entry: CachedSession = {
        record: own,
        userId: own.userId,
        hash,
        readAt,
        freshUntil: readAt + own.expiresInMs,
        touchDue: readAt + touchAfterMs - own.idleMs,
        changed: false,
        stretch,
        prepared: undefined,
      }
      entries.put(copyOf(cookie), entry)
      return entry
    },
    keepNobody: (cookie) => nobodies.keep(cookie),
    isNobody: (cookie) => nobodies.has(cookie) && feed.live(),
    forget: (cookie) => entries.forget(cookie),
    apply(told) {
      sequence++
      if (told.kind === 'users') { for (const id of told.ids) entries.ofUser(id).forEach(change) }
      if (told.kind === 'sessions') { for (const hash of told.hashes) entries.forgetHash(hash) // over for good
       }
      if (told.kind !== 'everything') return
      nobodies.clear()
      for (const entry of entries.all()) change(entry)
    },
    doubtEverything(knownUntil) {
      sequence++
      stretch++
      lastStretchKnownUntil = knownUntil
    },
    get size() {
      return entries.size
    },
  }
}

/** Cookies that were nobody's when somebody looked, for a while. */
function createNobodies(now: () => number) {
  const until = new Map<string, number>() // in the order in which they end
  return {
    keep(cookie: string): void {
      for (const [first, end] of until) {
        if (end > now() && until.size < NOBODIES) break
        until.delete(first)
      }
      until.delete(cookie)
      until.set(copyOf(cookie), now() + NOBODY_MS)
    },
    has(cookie: string): boolean {
      const end = until.get(cookie)
      return end !== undefined && end > now()
    },
    clear: (): void => until.clear(),
  }
}

/** Records in which what is equal is kept once: most people are in the same groups and the same tenant as others. */
function leanRecords(capacity: number): (record: SessionRecord) => SessionRecord {
  let equals = new Map<string, string | readonly string[]>()
  const one = <T extends string | readonly string[]>(value: T): T => {
    const key = typeof value === 'string' ? value : value.join('\n')
    const known = equals.get(key)
    if (known !== undefined && typeof known === typeof value) return known as T
    if (equals.size >= capacity) equals = new Map()
    equals.set(key, value)
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
  })
}

/**
 * The same store; what ends here is forgotten here before anybody is asked, also where the database then does not
 * answer.
 */
export function forgetting(store: SessionStore, cache: Pick<SessionCache, 'apply'>): SessionStore {
  return {
    find: (id) => store.find(id),
    touch: (hashes) => store.touch(hashes),
    async end(id, correlationId) {
      cache.apply({ kind: 'sessions', hashes: [sessionIdHash(id).toString('hex')] })
      await store.end(id, correlationId)
    },
    async endByEntraSid(sid, correlationId) {
      const hashes = await store.endByEntraSid(sid, correlationId)
      cache.apply({ kind: 'sessions', hashes: hashes.map((hash) => hash.toString('hex')) })
      return hashes
    },
  }
}
