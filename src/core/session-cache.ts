// Sessions as this process last read them, by the cookie they came with. What is in here is served without asking the
// database for as long as changes are heard of; a change takes out what it names, and whatever is in doubt is read again.
import { sessionIdHash, type SessionRecord, type SessionStore } from './session.js'

/** What a replica is told: ids alone. */
export type Change =
  | { readonly kind: 'sessions', readonly hashes: readonly string[] }
  | { readonly kind: 'users', readonly ids: readonly string[] }
  | { readonly kind: 'everything' }

/** How far changes have been heard of. */
export interface ChangeFeed {
  /** Nothing can have been missed: what is cached may be served. @param at the time now, by the clock of SessionCacheOptions.now */
  live(at?: number): boolean
  /** When the feed was last known to be complete; the clock of SessionCacheOptions.now. */
  heardAt(): number
}

export interface CachedSession {
  readonly record: SessionRecord
  /** Hex of the id's hash. */
  readonly hash: string
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
  /** Something may have been missed: everything is read again. @param knownUntil until when what is cached is known to have held */
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

/** A part of a header would keep the whole header in memory, other applications' cookies included. */
function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

const CAPACITY = 200_000
const NOBODIES = 20_000
const NOBODY_MS = 5_000

export function createSessionCache({ feed, capacity = CAPACITY, touchAfterMs, now = () => performance.now() }: SessionCacheOptions): SessionCache {
  // Two generations instead of a list of uses: what is used moves to the young one, and the old one goes as a whole.
  let young = new Map<string, CachedSession>()
  let old = new Map<string, CachedSession>()
  let cookieOf = new Map<string, string>() // by hash
  let cookiesOf = new Map<string, string | Set<string>>() // by user; most have one
  let nobodies = new Map<string, number>()
  let equals = new Map<string, string | readonly string[]>()
  let sequence = 0
  let stretch = 0
  let lastStretchKnownUntil = -Infinity

  const find = (cookie: string): CachedSession | undefined => {
    const found = young.get(cookie)
    if (found !== undefined) return found
    const aged = old.get(cookie)
    if (aged !== undefined) {
      old.delete(cookie)
      add(cookie, aged)
    }
    return aged
  }
  const add = (cookie: string, entry: CachedSession): void => {
    if (young.size >= capacity / 2) {
      old = young
      young = new Map()
      index()
    }
    young.set(cookie, entry)
    note(cookie, entry)
  }
  /** Made anew when a generation goes, so that nothing is kept of what went. */
  const index = (): void => {
    cookieOf = new Map()
    cookiesOf = new Map()
    for (const [cookie, entry] of old) note(cookie, entry)
  }
  const note = (cookie: string, { hash, record: { userId } }: CachedSession): void => {
    cookieOf.set(hash, cookie)
    const known = cookiesOf.get(userId)
    if (known === undefined) cookiesOf.set(userId, cookie)
    else if (typeof known !== 'string') known.add(cookie)
    else if (known !== cookie) cookiesOf.set(userId, new Set([known, cookie]))
  }
  const change = (cookie: string | undefined): void => {
    const entry = cookie === undefined ? undefined : young.get(cookie) ?? old.get(cookie)
    if (entry) entry.changed = true
  }
  const forget = (cookie: string): void => {
    const entry = young.get(cookie) ?? old.get(cookie)
    young.delete(cookie)
    old.delete(cookie)
    if (!entry) return
    cookieOf.delete(entry.hash)
    const { userId } = entry.record
    const known = cookiesOf.get(userId)
    if (known === cookie) cookiesOf.delete(userId)
    if (typeof known !== 'object') return
    known.delete(cookie)
    if (known.size === 0) cookiesOf.delete(userId)
  }
  const ofUser = (id: string): readonly string[] => {
    const known = cookiesOf.get(id)
    return known === undefined ? [] : typeof known === 'string' ? [known] : [...known]
  }
  const changeEverything = (): void => {
    for (const generation of [young, old]) for (const entry of generation.values()) entry.changed = true
  }

  /** Most people are in the same groups and the same tenant as others. */
  const one = <T extends string | readonly string[]>(value: T): T => {
    const key = typeof value === 'string' ? value : value.join('\n')
    const known = equals.get(key)
    if (known !== undefined && typeof known === typeof value) return known as T
    if (equals.size >= capacity / 10) equals = new Map()
    equals.set(key, value)
    return value
  }
  /** What is equal is kept once. */
  const lean = (record: SessionRecord): SessionRecord => ({
    ...record,
    email: record.email === record.username ? record.username : record.email,
    tid: record.tid && one(record.tid),
    groups: one(record.groups),
    permissions: one(record.permissions),
    expiresInMs: Math.floor(record.expiresInMs),
    idleMs: Math.ceil(record.idleMs),
  })

  return {
    fresh(cookie, at = now()) {
      const entry = find(cookie)
      return entry !== undefined && !entry.changed && entry.stretch === stretch && entry.freshUntil > at && feed.live(at) ? entry : undefined
    },
    remembered(cookie) {
      const entry = find(cookie)
      return entry?.changed ? undefined : entry
    },
    knownAt: (entry) => Math.max(entry.readAt, entry.stretch === stretch ? feed.heardAt() : entry.stretch === stretch - 1 ? lastStretchKnownUntil : -Infinity),
    ticket: () => sequence,
    keep(cookie, hash, record, ticket) {
      if (ticket !== sequence) return undefined
      const other = cookieOf.get(hash)
      if (other !== undefined && other !== cookie) forget(other) // an end takes out one cookie: there must be no other (one that an older secret signed)
      const readAt = Math.floor(now()) // small whole numbers take no memory of their own
      const own = lean(record)
      const entry: CachedSession = { record: own, hash, readAt, freshUntil: readAt + own.expiresInMs, touchDue: readAt + touchAfterMs - own.idleMs, changed: false, stretch, prepared: undefined }
      old.delete(cookie)
      add(copyOf(cookie), entry)
      return entry
    },
    keepNobody(cookie) {
      for (const [first, until] of nobodies) { // in the order in which they end
        if (until > now() && nobodies.size < NOBODIES) break
        nobodies.delete(first)
      }
      nobodies.delete(cookie)
      nobodies.set(copyOf(cookie), now() + NOBODY_MS)
    },
    isNobody(cookie) {
      const until = nobodies.get(cookie)
      if (until === undefined) return false
      if (until > now() && feed.live()) return true
      nobodies.delete(cookie)
      return false
    },
    forget,
    apply(told) {
      sequence++
      if (told.kind === 'everything') {
        nobodies = new Map()
        return changeEverything()
      }
      if (told.kind === 'users') for (const id of told.ids) ofUser(id).forEach(change)
      if (told.kind === 'sessions') {
        for (const hash of told.hashes) {
          const cookie = cookieOf.get(hash)
          if (cookie !== undefined) forget(cookie) // over for good
        }
      }
    },
    doubtEverything(knownUntil) {
      sequence++
      stretch++
      lastStretchKnownUntil = knownUntil
    },
    get size() { return young.size + old.size },
  }
}

/** The same store; what ends here is forgotten here before anybody is asked, also where the database then does not answer. */
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
