// What a replica remembers of what was taken away, and what it concludes from the heartbeats that a server has.
import t from 'tap'
import { concernedBy, LISTED_KINDS } from '../../src/core/changes.js'
import { createHistory } from '../../src/core/history.js'
import { createTombstones, TAKINGS } from '../../src/core/tombstones.js'

const id = (digit: number): string => `${digit}0000000-0000-4000-8000-000000000000`
const HASH = 'a'.repeat(64)

function remembered(options: { keepMs?: number, capacity?: number } = {}) {
  const world = { now: 0 }
  const tombstones = createTombstones({ ...options, now: () => world.now })
  const taken = (since = -Infinity) => Object.fromEntries(tombstones.taken(since))
  return { world, tombstones, taken }
}

// proves: lost-given-again
t.test('what was given again is not taken away again', async (t) => {
  const subjects: Readonly<Record<string, string>> = {
    'user.deactivated': id(1),
    'staff.lost': id(1),
    'superuser.lost': id(1),
    'group.lost': `${id(1)}/${id(2)}`,
    'permission.lost': `${id(2)}/wiki/edit`,
    'identity.lost': `${id(1)}/${id(3)}/${id(4)}`,
  }
  for (const [kind, taking] of Object.entries(TAKINGS)) {
    if (!('givenBy' in taking)) continue
    const { givenBy } = taking
    const subject = subjects[kind]
    t.ok(subject, kind)
    const { tombstones, taken } = remembered()
    tombstones.record({ kind, subjects: [subject ?? ''] })
    t.strictSame(taken(), { [kind]: [subject] }, kind)
    tombstones.record({ kind: givenBy, subjects: [subject ?? ''] })
    t.strictSame(taken(), {}, givenBy)
    tombstones.record({ kind, subjects: [subject ?? ''] })
    t.strictSame(taken(), { [kind]: [subject] }, 'and taken away once more')
  }
})

// proves: lost-reach
t.test('an hour is remembered, and a bounded number', async (t) => {
  const { world, tombstones, taken } = remembered({ capacity: 3 })
  for (const [at, digit] of [[1_000, 1], [2_000, 2], [3_000, 3], [4_000, 4]] as const) {
    world.now = at
    tombstones.record({ kind: 'user.deactivated', subjects: [id(digit)] })
  }
  t.strictSame(taken(), { 'user.deactivated': [id(2), id(3), id(4)] })
  t.notOk(tombstones.reachBackTo(999), 'what was dropped is not known any more')
  t.ok(tombstones.reachBackTo(1_000))
  world.now = 3_602_000
  t.strictSame(taken(), { 'user.deactivated': [id(2), id(3), id(4)] }, 'exactly an hour')
  world.now = 3_602_001
  t.strictSame(taken(), { 'user.deactivated': [id(3), id(4)] })
  t.ok(tombstones.reachBackTo(2_000))
  t.notOk(tombstones.reachBackTo(1_999))
  t.equal(tombstones.size, 2)
})

// proves: lost-bulk, lost-gap
t.test('what was not listed one by one is not known', async (t) => {
  const { world, tombstones } = remembered()
  const reach = (): number => {
    for (let since = 0; since <= 100; since++) if (tombstones.reachBackTo(since)) return since
    return Infinity
  }
  t.equal(reach(), 0, 'since the start')
  world.now = 10
  const taken = new Set<string>(Object.keys(TAKINGS))
  for (const kind of LISTED_KINDS) if (!taken.has(kind)) tombstones.record({ kind, subjects: [id(1)] })
  t.ok(LISTED_KINDS.has('policy.changed'), 'a version was added, or is tried')
  t.equal(reach(), 0, 'nothing is taken away')
  for (const kind of ['bulk', 'everything', 'of.a.later.release', 'constructor']) {
    world.now++
    tombstones.record({ kind, subjects: ['sessions'] })
    t.equal(reach(), world.now, kind)
  }
  world.now = 20
  tombstones.gap()
  t.equal(reach(), 20, 'not received')
  world.now = 30
  tombstones.record({ kind: 'group.lost', subjects: ["'; drop table users; --"] })
  t.equal(reach(), 30, 'no subject of this kind')
  world.now = 40
  tombstones.record({ kind: 'session.ended', subjects: [null as unknown as string] })
  t.equal(reach(), 40, 'no text')
  t.equal(tombstones.size, 0)
})

// proves: lost-given-unknown
t.test('after a gap, what may have been given again is not taken away', async (t) => {
  const { world, tombstones, taken } = remembered()
  for (
    const [kind, subject] of [['user.deactivated', id(1)], ['session.ended', HASH], ['user.removed', id(2)]] as const
  ) {
    tombstones.record({ kind, subjects: [subject] })
  }
  world.now = 10
  tombstones.gap()
  t.strictSame(taken(), { 'session.ended': [HASH], 'user.removed': [id(2)] })
})

t.test('what was received before a moment is left out', async (t) => {
  const { world, tombstones, taken } = remembered()
  for (const digit of [1, 2, 3]) {
    world.now = digit
    tombstones.record({ kind: 'user.removed', subjects: [id(digit)] })
  }
  t.strictSame(taken(2), { 'user.removed': [id(2), id(3)] })
  t.strictSame(taken(4), {})
})

// proves: lost-swept, lost-since
t.test('a server with fewer heartbeats than it confirmed has lost history', async (t) => {
  const world = { now: 0, clock: 0 }
  const tombstones = createTombstones({ now: () => world.now })
  const history = createHistory({ tombstones, now: () => world.now, clock: () => world.clock })
  t.match(history.assess(undefined), { lost: false }, 'nothing was confirmed yet')
  for (let count = 1; count <= 10; count++) {
    world.now = count * 1_000
    t.equal(history.next(), count)
    if (count < 10) history.confirmed(count)
  }
  t.equal(history.lastConfirmed(), 9)
  t.strictSame(history.assess(10), { lost: false, since: 10_000 }, 'not confirmed, and there')
  t.strictSame(history.assess(9), { lost: false, since: 9_000 })
  t.strictSame(history.assess(7), { lost: true, since: 7_000, heartbeats: 2, isKnown: true })
  world.now = 7_001
  tombstones.gap()
  t.strictSame(history.assess(7), { lost: true, since: 7_000, heartbeats: 2, isKnown: false })
  t.strictSame(history.assess(8), { lost: true, since: 8_000, heartbeats: 1, isKnown: true })
  t.match(history.assess(undefined), { lost: true, heartbeats: 9, isKnown: false }, 'no row')
  world.clock += 12 * 3_600_000
  t.match(history.assess(undefined), { lost: true })
  world.clock += 1
  t.match(history.assess(undefined), { lost: false }, 'silent for so long that its row was deleted')
  t.match(history.assess(7), { lost: true })
})

t.test('heartbeats of more than an hour ago are beyond what is remembered', async (t) => {
  const world = { now: 0 }
  const history = createHistory({ tombstones: createTombstones({ now: () => 0 }), now: () => world.now })
  for (let count = 1; count <= 5_000; count++) history.confirmed(history.next())
  t.match(history.assess(1_001), { isKnown: true })
  t.match(history.assess(1_000), { isKnown: false })
})

t.test('each change concerns the sessions that it may concern', async (t) => {
  const of = (kind: string, ...subjects: string[]) => concernedBy({ kind, subjects })
  t.strictSame(of('session.ended', HASH), { kind: 'sessions', hashes: [HASH] })
  t.strictSame(of('user.removed', id(1)), { kind: 'users', ids: [id(1)] })
  t.strictSame(of('group.lost', `${id(1)}/${id(2)}`, `${id(1)}/${id(3)}`, `${id(2)}/${id(3)}`), {
    kind: 'users',
    ids: [id(1), id(2)],
  })
  t.strictSame(of('identity.given', `${id(1)}/${id(2)}/${id(3)}`), { kind: 'users', ids: [id(1)] })
  t.strictSame(of('key.withdrawn', 'kid'), { kind: 'keys' })
  t.strictSame(of('token.revoked', 'tok_1'), { kind: 'sessions', hashes: [] })
  for (const kind of ['group.removed', 'permission.lost', 'everything', 'bulk', 'of.a.later.release', 'constructor']) {
    t.strictSame(of(kind, id(1)), { kind: 'everything' }, kind)
  }
  t.strictSame(of('session.ended', HASH, 'x'), { kind: 'everything' }, 'malformed')
  t.strictSame(of('user.changed', id(1), ''), { kind: 'everything' }, 'malformed')
  t.strictSame(of('user.changed', null as unknown as string), { kind: 'everything' }, 'no text')
})
