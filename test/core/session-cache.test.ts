// Unit and property tests of the session cache: which entries are served, invalidated by a change, and kept for an
// outage of the database.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { sessionIdHash, type SessionRecord } from '../../src/core/session.js'
import { createSessionCache, invalidateOnWrite, type ReadTicket } from '../../src/core/session-cache.js'
import { createSessionEntries, type SessionEntry } from '../../src/core/session-cache-entries.js'

const RECORD = {
  userId: 'u1',
  isStaff: false,
  isSuperuser: false,
  groups: [],
  permissions: [],
  expiresInMs: 10_000,
  rightsEndInMs: null,
  idleMs: 0,
} as Partial<SessionRecord> as SessionRecord
const hash = (name: string) => name.padEnd(64, '0')

function setUp(capacity = 200_000) {
  const world = { now: 0, connected: true, lastReceivedAt: 0 }
  const cache = createSessionCache({
    feed: { connected: () => world.connected, lastReceivedAt: () => world.lastReceivedAt },
    touchAfterMs: 1_000,
    now: () => world.now,
    capacity,
  })
  const keep = (cookie: string, record = RECORD) => cache.keep(cookie, hash(cookie), record, cache.ticket())
  return { world, cache, keep }
}

// proves: live-feed
t.test('a cached session is served while the feed is connected, until its own timeout', async (t) => {
  const { world, cache, keep } = setUp()
  t.equal(cache.fresh('a'), undefined)
  keep('a')
  t.same(cache.fresh('a')?.record, RECORD)
  world.connected = false
  t.equal(cache.fresh('a'), undefined, 'the feed is not connected')
  world.connected = true
  world.now = 10_000
  t.equal(cache.fresh('a'), undefined, 'idle or absolute timeout: to be read again')
})

// proves: live-membership-asked
t.test('rights that end are served until then, and read again each minute', async (t) => {
  const { world, cache } = setUp()
  const keep = (record: Partial<SessionRecord>) => {
    world.now = 100
    const ticket = cache.ticket()
    world.now = 400 // a slow read: the database computed the time that is left after 100 and before 400
    return cache.keep('a', hash('a'), { ...RECORD, expiresInMs: 3_600_000, ...record }, ticket)
  }
  keep({ rightsEndInMs: 1_000.9 })
  world.now = 1_099
  t.ok(cache.fresh('a'))
  world.now = 1_100
  t.notOk(cache.fresh('a'), 'not later than the end')
  t.equal(keep({ rightsEndInMs: 1_000 })?.validUntil, 1_100)
  t.match(keep({ rightsEndInMs: 600_000 }), { freshUntil: 60_400, validUntil: 600_100 })
  t.match(keep({ rightsEndInMs: 1e15 }), { freshUntil: 60_400, validUntil: 3_600_400 }, 'in thirty thousand years')
  t.match(keep({ rightsEndInMs: null }), { freshUntil: 3_600_400, validUntil: 3_600_400 })
  t.match(keep({ rightsEndInMs: 1e15, expiresInMs: 500 }), { freshUntil: 900, validUntil: 900 })
})

// proves: live-ended
t.test('a change invalidates the entries it names and no others', async (t) => {
  const { cache, keep } = setUp()
  for (const [cookie, userId] of [['a', 'u1'], ['b', 'u1'], ['c', 'u2']] as const) keep(cookie, { ...RECORD, userId })
  cache.apply({ kind: 'sessions', hashes: [hash('a'), hash('unknown')] })
  t.notOk(cache.fresh('a'))
  t.notOk(cache.freshOrStale('a'), 'ended: not even in an outage')
  t.ok(cache.fresh('b'))
  cache.apply({ kind: 'users', ids: ['u1', 'nobody'] })
  t.notOk(cache.fresh('b'))
  t.notOk(cache.freshOrStale('b'), 'changed: not even in an outage')
  t.ok(cache.fresh('c'))
  cache.apply({ kind: 'everything' })
  t.notOk(cache.fresh('c'))
  keep('c', { ...RECORD, userId: 'u2' })
  t.ok(cache.fresh('c'))
})

t.test('a read overtaken by a change is not kept', async (t) => {
  const { cache } = setUp()
  for (const change of [() => cache.apply({ kind: 'users', ids: ['x'] }), () => cache.markAllStale()]) {
    const ticket = cache.ticket()
    change()
    t.equal(cache.keep('a', hash('a'), RECORD, ticket), undefined)
    t.notOk(cache.fresh('a'))
  }
})

// proves: live-stretch
t.test('after a gap in the feed every entry is stale and known to hold when it was read alone', async (t) => {
  const { world, cache, keep } = setUp()
  keep('a')
  world.now = 500
  world.lastReceivedAt = 450
  const entry = cache.freshOrStale('a')
  t.equal(entry && cache.knownAt(entry), 450)
  cache.markAllStale()
  t.notOk(cache.fresh('a'))
  t.equal(entry && cache.knownAt(entry), 0, 'a notification may be missing since the read')
  world.now = 600
  const meanwhile = keep('b')
  t.equal(meanwhile && cache.knownAt(meanwhile), 600)
  world.lastReceivedAt = 700
  cache.markAllStale()
  t.notOk(cache.fresh('b'), 'reconnected: notifications in between may have been missed')
  t.equal(meanwhile && cache.knownAt(meanwhile), 600)
  t.equal(entry && cache.knownAt(entry), 0)
})

t.test('a cookie without a session is remembered for five seconds', async (t) => {
  const { world, cache } = setUp()
  cache.rememberNoSession('x')
  t.ok(cache.hasNoSession('x'))
  world.now = 4_999
  t.ok(cache.hasNoSession('x'))
  world.now = 5_000
  t.notOk(cache.hasNoSession('x'))
  cache.rememberNoSession('x')
  world.connected = false
  t.notOk(cache.hasNoSession('x'))
})

t.test('a session has one entry for all its cookies, and ending it leaves none', async (t) => {
  const { cache } = setUp()
  const spellings = ['a', 'a by an older secret', 'a once more']
  for (const cookie of [...spellings, ...spellings]) t.ok(cache.keep(cookie, hash('a'), RECORD, cache.ticket()))
  t.equal(cache.size, 1)
  cache.apply({ kind: 'sessions', hashes: [hash('a')] })
  for (const cookie of spellings) t.notOk(cache.fresh(cookie) ?? cache.freshOrStale(cookie), cookie)
})

// proves: live-no-session-copied
t.test('the cache keeps the cookie, not the header it was cut from', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { cache } = setUp()
  const heap = (): number => {
    collect()
    return process.memoryUsage().heapUsed / 1024 ** 2
  }
  const before = heap()
  for (let each = 0; each < 400; each++) {
    const header = `gatehouse_session=${String(each).padStart(80, 'x')}; other=${
      String(each).repeat(100_000 / String(each).length)
    }`
    const cookie = header.slice(18, 98)
    if (each % 2 === 0) cache.rememberNoSession(cookie)
    else cache.keep(cookie, hash(String(each)), RECORD, cache.ticket())
  }
  const grown = heap() - before
  t.ok(grown < 10, `${grown.toFixed(1)} MB for 400 headers of 100 kB`)
  t.equal(cache.size, 200)
})

t.test('the negative cache is limited in time and in number', async (t) => {
  const { world, cache } = setUp()
  for (let each = 0; each < 30_000; each++) {
    world.now = each / 10
    cache.rememberNoSession(`c${each}`)
  }
  t.notOk(cache.hasNoSession('c9999'))
  t.ok(cache.hasNoSession('c10000'))
  cache.rememberNoSession('c10000')
  world.now += 4_000
  cache.rememberNoSession('x')
  t.ok(cache.hasNoSession('c10000'), 'counted from the last time')
})

t.test('the cache is bounded and evicts the least recently used entries', async (t) => {
  const { cache, keep } = setUp(100)
  keep('used')
  for (let each = 0; each < 1_000; each++) {
    keep(`c${each}`, { ...RECORD, userId: `v${each}` })
    t.ok(cache.fresh('used')) || t.bailout('gone')
  }
  t.ok(cache.size <= 101, `${cache.size}`)
  cache.apply({ kind: 'users', ids: ['u1'] })
  t.notOk(cache.fresh('used'), 'changes still find it')
})

/**
 * Model: a database with a queue of notifications, and a process that reads the database and receives the
 * notifications. What it serves is never older than the last notification it received.
 */
// proves: live-ticket
t.test('a served session is at least as recent as the last notification received', async (t) => {
  const COOKIES = ['a', 'b', 'c', 'd', 'e', 'f', 'b, otherwise', 'e, otherwise'] // the first letter is the session
  const action = fc.oneof(
    fc.record({ kind: fc.constant('ask' as const), who: fc.constantFrom(...COOKIES) }),
    fc.record({
      kind: fc.constantFrom('ask' as const, 'read' as const, 'read' as const),
      who: fc.constantFrom(...COOKIES),
    }),
    fc.record({ kind: fc.constant('beginRead' as const), who: fc.constantFrom(...COOKIES) }),
    fc.record({ kind: fc.constant('endRead' as const), who: fc.constantFrom(...COOKIES) }),
    fc.record({ kind: fc.constant('end' as const), who: fc.constantFrom(...COOKIES) }),
    fc.record({ kind: fc.constant('change' as const), who: fc.constantFrom('u1', 'u2') }),
    fc.record({ kind: fc.constant('receive' as const), who: fc.constant('') }),
    fc.record({
      kind: fc.constantFrom('lose' as const, 'reconnect' as const, 'reconnect' as const, 'reconnect' as const),
      who: fc.constant(''),
    }),
  )
  let served = 0
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80, size: 'max' }), fc.constantFrom(4, 100), (actions, capacity) => {
      const { world, cache } = setUp(capacity)
      const sessionOf = (cookie: string) => cookie.slice(0, 1)
      const userOf = (cookie: string) => 'ace'.includes(sessionOf(cookie)) ? 'u1' : 'u2'
      const versions: Record<string, number> = { u1: 0, u2: 0 }
      const receivedVersions: Record<string, number> = { u1: 0, u2: 0 }
      const ended = new Set<string>()
      const receivedEnded = new Set<string>()
      const notifications: { readonly apply: () => void }[] = []
      const reading = new Map<string, { ticket: ReadTicket, record: SessionRecord | undefined }>()
      for (const { kind, who } of actions) {
        world.now++
        if (kind === 'beginRead' || kind === 'read') {
          reading.set(who, {
            ticket: cache.ticket(),
            record: ended.has(sessionOf(who))
              ? undefined
              : { ...RECORD, userId: userOf(who), authTime: versions[userOf(who)] ?? 0 },
          })
        }
        if (kind === 'endRead' || kind === 'read') {
          const read = reading.get(who)
          reading.delete(who)
          if (read?.record) cache.keep(who, hash(sessionOf(who)), read.record, read.ticket)
          else if (read) cache.forget(who)
        }
        if (kind === 'end') {
          ended.add(sessionOf(who))
          notifications.push({
            apply: () => {
              receivedEnded.add(sessionOf(who))
              cache.apply({ kind: 'sessions', hashes: [hash(sessionOf(who))] })
            },
          })
        }
        if (kind === 'change') {
          versions[who] = (versions[who] ?? 0) + 1
          const version = versions[who] ?? 0
          notifications.push({
            apply: () => {
              receivedVersions[who] = version
              cache.apply({ kind: 'users', ids: [who] })
            },
          })
        }
        if (kind === 'receive') notifications.shift()?.apply()
        if (kind === 'lose') {
          world.connected = false
          notifications.length = 0
          cache.markAllStale()
        }
        if (kind === 'reconnect' && !world.connected) {
          world.connected = true
          for (const each of ended) receivedEnded.add(each)
          Object.assign(receivedVersions, versions)
          cache.markAllStale()
        }
        if (kind === 'ask') {
          const entry = cache.fresh(who)
          if (!entry) continue
          served++
          const oldest = receivedVersions[userOf(who)] ?? 0
          if (receivedEnded.has(sessionOf(who)) || entry.record.authTime < oldest) return false
        }
      }
      return true
    }),
    { numRuns: 3_000 },
  )
  t.ok(served > 500, `${served} served`)
})

t.test('the entries of a session and of a user are found until they are forgotten', async (t) => {
  const entries = createSessionEntries<SessionEntry>(100)
  const entry = (name: string, userId: string) => ({ hash: hash(name), userId })
  const [a, b, c, d] = [entry('a', 'u1'), entry('b', 'u1'), entry('c', 'u1'), entry('d', 'u2')]
  for (const [cookie, each] of Object.entries({ a, b, c, d })) entries.put(cookie, each)
  t.strictSame({ u1: entries.ofUser('u1'), u2: entries.ofUser('u2'), u3: entries.ofUser('u3') }, {
    u1: [a, b, c],
    u2: [d],
    u3: [],
  })
  entries.forget('a')
  entries.forget('d')
  entries.forget('unknown')
  t.strictSame({ u1: entries.ofUser('u1'), u2: entries.ofUser('u2') }, { u1: [b, c], u2: [] })
  t.strictSame({ a: entries.use('a'), b: entries.use('b'), d: entries.use('d') }, { a: undefined, b, d: undefined })
  t.strictSame([...entries.all()], [b, c])

  // the same cookies with other sessions: nothing of the forgotten entries names them
  const [later, laterD] = [entry('later', 'u3'), entry('later d', 'u3')]
  entries.put('a', later)
  entries.put('d', laterD)
  t.strictSame({ u1: entries.ofUser('u1'), u2: entries.ofUser('u2'), u3: entries.ofUser('u3') }, {
    u1: [b, c],
    u2: [],
    u3: [later, laterD],
  })
  entries.forgetHash(a.hash)
  entries.forgetHash(d.hash)
  t.strictSame({ a: entries.use('a'), d: entries.use('d') }, { a: later, d: laterD }, 'by the hash of another session')
  entries.forgetHash(later.hash)
  t.equal(entries.use('a'), undefined)
  t.strictSame(entries.ofUser('u3'), [laterD])
})

t.test('an entry in the older generation is found, forgotten and replaced like any other', async (t) => {
  const entries = createSessionEntries<SessionEntry>(4)
  const entry = (name: string, userId = 'u1') => ({ hash: hash(name), userId })
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const sizes = names.map((name) => {
    entries.put(name, entry(name))
    return entries.size
  })
  t.strictSame(sizes, [1, 2, 3, 4, 3, 4, 3, 4], 'never above the capacity')
  t.strictSame(entries.ofUser('u1').map((each) => each.hash), ['e', 'f', 'g', 'h'].map(hash), 'no dropped entry')
  entries.forget('e')
  t.strictSame({ e: entries.use('e'), size: entries.size }, { e: undefined, size: 3 })
  entries.put('e', entry('another', 'u2'))
  t.strictSame(entries.ofUser('u1').map((each) => each.hash), ['g', 'h'].map(hash), 'g and h became the older ones')
  entries.put('later', entry('g'))
  t.strictSame({ g: entries.use('g'), size: entries.size }, { g: undefined, size: 3 }, 'replaced by another cookie')
  t.strictSame(entries.use('later'), entry('g'))
  entries.forgetHash(hash('h'))
  t.strictSame({ h: entries.use('h'), size: entries.size }, { h: undefined, size: 2 })
})

t.test('a session that the database has no more is forgotten', async (t) => {
  const { cache, keep } = setUp()
  keep('a')
  keep('b')
  cache.forget('a')
  t.strictSame({ a: cache.freshOrStale('a'), size: cache.size }, { a: undefined, size: 1 })
  t.ok(cache.fresh('b'))
})

t.test('the feed says until when an entry holds, until there is a gap', async (t) => {
  const { world, cache, keep } = setUp()
  world.now = 100
  const entry = keep('a')
  const knownAt = () => entry && cache.knownAt(entry)
  world.lastReceivedAt = 50
  t.equal(knownAt(), 100, 'the feed was last known to be complete before the read')
  world.lastReceivedAt = 400
  t.equal(knownAt(), 400)
  cache.markAllStale()
  t.equal(knownAt(), 100, 'a notification may have been missed')
})

t.test('activity is due by the time of the last activity, not by the time of the read', async (t) => {
  const { world, keep } = setUp()
  world.now = 5_000.9
  const { readAt, freshUntil, touchDue } = keep('a', { ...RECORD, idleMs: 299.5, expiresInMs: 10_000.9 }) ?? {}
  t.strictSame({ readAt, freshUntil, touchDue }, { readAt: 5_000, freshUntil: 15_000, touchDue: 5_700 })
})

t.test('a change of everything clears the negative cache; other changes do not', async (t) => {
  const { cache } = setUp()
  cache.rememberNoSession('x')
  cache.apply({ kind: 'users', ids: ['u1'] })
  cache.apply({ kind: 'sessions', hashes: [hash('x')] })
  t.equal(cache.hasNoSession('x'), true, 'neither changes what cookies without a session have')
  cache.apply({ kind: 'everything' })
  t.equal(cache.hasNoSession('x'), false)
})

t.test('records with equal lists share them, and no value is replaced by another one', async (t) => {
  const { keep } = setUp()
  const record = (more: Partial<SessionRecord>) => ({ ...RECORD, tid: null, email: null, ...more })
  const full = () => record({ tid: 'tenant', groups: ['a', 'b'], permissions: ['x.view', 'x.change'] })
  const [first, second] = [keep('first', full()), keep('second', full())]
  t.strictSame(second?.record, full())
  t.equal(second?.record.groups, first?.record.groups, 'one list of groups')
  t.equal(second?.record.permissions, first?.record.permissions, 'one list of permissions')

  const alike = [
    record({ tid: 'a', groups: ['a'], permissions: ['a'] }),
    record({ tid: 'ab', groups: ['ab'], permissions: ['a', 'b'] }),
    record({ groups: ['b', 'a'], permissions: ['a', 'b', 'c'] }),
    record({ tid: 'a\nb', groups: ['a', 'b'], permissions: [] }),
    record({ tid: '', groups: [], permissions: ['a\u0000b'] }),
  ]
  for (const each of [...alike, ...alike]) t.strictSame(keep('alike', each)?.record, each, JSON.stringify(each.groups))
  const people = [
    record({ username: 'abe', email: 'abe' }),
    record({ username: 'abe', email: 'abe@contoso.example' }),
    record({ username: 'abe', email: null }),
  ]
  for (const each of people) t.strictSame(keep('person', each)?.record, each, `e-mail ${each.email}`)
})

t.test('as many lists are shared as a tenth of the capacity', async (t) => {
  const { keep } = setUp(100)
  const groupsOf = (name: string) => keep('x', { ...RECORD, groups: [name], permissions: ['same'] })?.record.groups
  const names = (count: number) => Array.from({ length: count }, (_, each) => `g${each}`)
  const nine = names(9).map(groupsOf) // the tenth list is the one of the permissions
  t.ok(nine.every((groups, each) => groups === groupsOf(`g${each}`)), 'the first ten stay')
  groupsOf('one more')
  t.not(groupsOf('g0'), nine[0], 'above the limit the memory is released')
})

t.test('an entry that replaces its own in a full young generation counts once', async (t) => {
  const entries = createSessionEntries<SessionEntry>(4)
  for (const cookie of ['a', 'b', 'b']) entries.put(cookie, { hash: hash(cookie), userId: 'u1' })
  t.equal(entries.size, 2)
  t.strictSame([...entries.all()].map((entry) => entry.hash), [hash('a'), hash('b')])
})

// proves: lost-end-dated
t.test('a session leaves the cache before it ends, and its end is noted once more as of the commit', async (t) => {
  const order: string[] = []
  const store = invalidateOnWrite(
    {
      async end() {
        order.push('end')
      },
    } as never,
    { apply: (change) => order.push(JSON.stringify(change)) },
  )
  await store.end('id', 'test')
  const noted = JSON.stringify({ kind: 'sessions', hashes: [sessionIdHash('id').toString('hex')] })
  t.strictSame(order, [noted, 'end', noted])
})
