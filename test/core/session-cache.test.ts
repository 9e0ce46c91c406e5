// Unit and property tests of the session cache: which entries are served, invalidated by a change, and kept for an
// outage of the database.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import type { SessionRecord } from '../../src/core/session.js'
import { createSessionCache } from '../../src/core/session-cache.js'

const RECORD = {
  userId: 'u1',
  isStaff: false,
  isSuperuser: false,
  groups: [],
  permissions: [],
  expiresInMs: 10_000,
  idleMs: 0,
} as Partial<SessionRecord> as SessionRecord
const hash = (name: string) => name.padEnd(64, '0')

function setUp(capacity?: number) {
  const world = { now: 0, connected: true, lastReceivedAt: 0 }
  const cache = createSessionCache({
    feed: { connected: () => world.connected, lastReceivedAt: () => world.lastReceivedAt },
    touchAfterMs: 1_000,
    now: () => world.now,
    ...(capacity === undefined ? {} : { capacity }),
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
  for (const change of [() => cache.apply({ kind: 'users', ids: ['x'] }), () => cache.markAllStale(0)]) {
    const ticket = cache.ticket()
    change()
    t.equal(cache.keep('a', hash('a'), RECORD, ticket), undefined)
    t.notOk(cache.fresh('a'))
  }
})

// proves: live-stretch
t.test('after the feed breaks every entry is stale and keeps the time until which it was known to hold', async (t) => {
  const { world, cache, keep } = setUp()
  keep('a')
  world.now = 500
  world.lastReceivedAt = 450
  const entry = cache.freshOrStale('a')
  t.equal(entry && cache.knownAt(entry), 450)
  cache.markAllStale(450)
  t.notOk(cache.fresh('a'))
  t.equal(entry && cache.knownAt(entry), 450, 'the last time the feed was complete, not the time of the read')
  world.now = 600
  const meanwhile = keep('b')
  t.equal(meanwhile && cache.knownAt(meanwhile), 600)
  world.lastReceivedAt = 700
  cache.markAllStale(-Infinity)
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
      const reading = new Map<string, { ticket: number, record: SessionRecord | undefined }>()
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
          cache.markAllStale(world.now)
        }
        if (kind === 'reconnect' && !world.connected) {
          world.connected = true
          for (const each of ended) receivedEnded.add(each)
          Object.assign(receivedVersions, versions)
          cache.markAllStale(-Infinity)
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
