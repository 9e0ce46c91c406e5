// A bounded map of sessions keyed by cookie, with indexes by session hash and by user id for change notifications. A
// session has at most one entry.

export interface SessionEntry {
  /** Hex of the id's hash. */
  readonly hash: string
  readonly userId: string
}

export interface SessionEntries<Entry extends SessionEntry> {
  /** Looks an entry up and marks it as recently used. */
  use(cookie: string): Entry | undefined
  /**
   * Replaces any other entry of the same session (its cookie may have been signed with an older secret), so that ending
   * the session leaves none.
   */
  put(cookie: string, entry: Entry): void
  forget(cookie: string): void
  forgetHash(hash: string): void
  ofUser(userId: string): readonly Entry[]
  all(): Iterable<Entry>
  readonly size: number
}

/** Two generations approximate an LRU list: a used entry moves to the young one; the old one is dropped whole. */
export function createSessionEntries<Entry extends SessionEntry>(capacity: number): SessionEntries<Entry> {
  let young = new Map<string, Entry>()
  let old = new Map<string, Entry>()
  let index = createIndex()
  const add = (cookie: string, entry: Entry): void => {
    if (young.size >= capacity / 2) {
      old = young
      young = new Map()
      index = createIndex(old) // rebuilt, so that it holds no dropped entries
    }
    young.set(cookie, entry)
    index.note(cookie, entry)
  }
  const forget = (cookie: string): void => {
    const entry = young.get(cookie) ?? old.get(cookie)
    for (const generation of [young, old]) generation.delete(cookie)
    if (entry) index.forget(cookie, entry)
  }
  return {
    use(cookie) {
      const found = young.get(cookie)
      if (found !== undefined) return found
      const aged = old.get(cookie)
      if (aged === undefined) return undefined
      old.delete(cookie)
      add(cookie, aged)
      return aged
    },
    put(cookie, entry) {
      const other = index.cookieOf(entry.hash)
      if (other !== undefined && other !== cookie) forget(other) // guard: live-one-entry
      for (const generation of [young, old]) generation.delete(cookie)
      add(cookie, entry)
    },
    forget,
    forgetHash(hash) {
      const cookie = index.cookieOf(hash)
      if (cookie !== undefined) forget(cookie) // guard: live-ended
    },
    ofUser: (userId) => index.cookiesOf(userId).flatMap((cookie) => young.get(cookie) ?? old.get(cookie) ?? []),
    *all() {
      yield* young.values()
      yield* old.values()
    },
    get size() {
      return young.size + old.size
    },
  }
}

function createIndex(entries: ReadonlyMap<string, SessionEntry> = new Map()) {
  const byHash = new Map<string, string>()
  const byUser = new Map<string, string | Set<string>>() // most users have one session
  const index = {
    note(cookie: string, { hash, userId }: SessionEntry): void {
      byHash.set(hash, cookie)
      const known = byUser.get(userId)
      if (known === undefined) byUser.set(userId, cookie)
      else if (typeof known !== 'string') known.add(cookie)
      else if (known !== cookie) byUser.set(userId, new Set([known, cookie]))
    },
    forget(cookie: string, { hash, userId }: SessionEntry): void {
      byHash.delete(hash)
      const known = byUser.get(userId)
      if (known === cookie) byUser.delete(userId)
      if (typeof known !== 'object') return
      known.delete(cookie)
      if (known.size === 0) byUser.delete(userId)
    },
    cookieOf: (hash: string): string | undefined => byHash.get(hash),
    cookiesOf(userId: string): readonly string[] {
      const known = byUser.get(userId)
      if (known === undefined) return []
      return typeof known === 'string' ? [known] : [...known]
    },
  }
  for (const [cookie, entry] of entries) index.note(cookie, entry)
  return index
}
