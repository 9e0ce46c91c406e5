// Change signals in a real PostgreSQL: who is signalled, who is due in which order because of it, and that a signal
// never delays anyone.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { ChangeRound, DeltaChain } from '../../src/core/change-signals.js'
import type { DueQuery } from '../../src/core/reevaluation-store.js'
import { createSignalStore } from '../../src/store/change-signals.js'
import { openDatabase } from '../../src/store/database.js'
import { createDueUsers } from '../../src/store/due-users.js'
import { migrate } from '../../src/store/migrate.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const TENANT = '11111111-1111-4111-8111-111111111111'
const OTHER_TENANT = '22222222-2222-4222-8222-222222222222'
const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000]
const OPTIONS = {
  tenantId: TENANT,
  idleTimeoutMs: 8 * HOUR,
  absoluteTimeoutMs: 48 * HOUR,
  privilegedTimeoutMs: undefined,
}
const QUERY: DueQuery = {
  cycleMs: 270 * SECOND,
  usersPerSecond: 300,
  floor: { privilegedMs: 50 * MINUTE, othersMs: 23 * HOUR },
  runEveryMs: 15 * SECOND,
  stalenessLimitsMs: [HOUR, 24 * HOUR],
  overdueOnly: false,
}
const NO_SHARE = 1e-9 // milliseconds: nobody is due by the share of a run
const oid = (n: number) => `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
const GROUP = oid(0xffff)

interface User {
  /** Age of the last snapshot. */
  readonly read: number
  readonly privileged?: boolean
  readonly groups?: readonly string[]
  /** Time since the signal. */
  readonly signalled?: number
  /** Time since the last failed attempt. */
  readonly tried?: number
  /** Time since which Graph knows no account. */
  readonly missing?: number
  readonly tid?: string
  readonly active?: boolean
  readonly session?: boolean
}

/** @param slice snapshots and signals of one statement */
async function scene(t: Test, slice?: number) {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 5 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const dueUsers = createDueUsers(database, OPTIONS)
  const store = createSignalStore(database, OPTIONS, slice)
  return {
    query,
    store,
    /** Named by their position: u0, u1, … */
    async users(users: readonly User[]) {
      await query('truncate users, change_signals cascade')
      const rows = users.map((user, n) => ({
        name: `u${n}`,
        oid: oid(n),
        tid: user.tid ?? TENANT,
        privileged: user.privileged ?? false,
        active: user.active ?? true,
        session: user.session ?? true,
        groups: user.groups ?? [],
        read: user.read,
        tried: user.tried ?? null,
        missing: user.missing ?? null,
        signalled: user.signalled ?? null,
      }))
      await query(
        `with given as (select gen_random_uuid() as id, * from jsonb_to_recordset($1::jsonb) as g(name text, oid uuid,
          tid uuid, privileged boolean, active boolean, session boolean, groups jsonb, read float8, tried float8,
          missing float8, signalled float8)),
        u as (insert into users (id, username, username_key, is_staff, is_active)
          select id, name, name, privileged, active from given returning id),
        i as (insert into identities (tid, oid, user_id) select tid, oid, id from given),
        s as (insert into sessions (id_hash, public_id, user_id)
          select decode(md5(name), 'hex'), 'ses_' || name, id from given where session),
        r as (insert into entra_readings (user_id, group_ids, read_at)
          select id, array(select jsonb_array_elements_text(groups)::uuid), now() - read * interval '1 ms'
          from given join u using (id)),
        c as (insert into entra_checks (user_id, tried_at, missing_since)
          select id, now() - tried * interval '1 ms', now() - missing * interval '1 ms' from given
          where tried is not null)
        insert into change_signals (user_id, signalled_at)
          select id, now() - signalled * interval '1 ms' from given where signalled is not null`,
        [JSON.stringify(rows)],
      )
    },
    due: async (changes: Partial<DueQuery> = {}) =>
      (await dueUsers.find({ ...QUERY, ...changes })).map(({ username }) => username),
    signalled: async () =>
      (await query<{ username: string }>(
        'select username from users join change_signals on user_id = id order by username',
      )).map(({ username }) => username),
  }
}

function round(
  changes: { users?: readonly string[], groups?: readonly string[], chains?: readonly DeltaChain[] },
): ChangeRound {
  const { users = [], groups = [], chains = [] } = changes
  return {
    chains,
    read: new Set(chains.map(({ id }) => id)),
    users: new Set(users),
    groups: new Set(groups),
    failures: new Map(),
    failed: new Set(),
    restarted: 0,
    notFollowed: 0,
    complete: new Set(['users', 'groups']),
  }
}

const chain = (n: number, more: Partial<DeltaChain> = {}): DeltaChain => ({
  id: oid(n),
  kind: 'groups',
  groupIds: [oid(n)],
  nested: { [oid(n)]: [GROUP] },
  former: { [oid(n)]: [oid(99)] },
  added: [GROUP],
  link: `https://graph.microsoft.com/v1.0/groups/delta?$deltatoken=${n}`,
  following: true,
  announced: false,
  pages: 3,
  ...more,
})

// proves: delta-signals-by-user, delta-signals-by-group, sync-active-users-only
t.test('users of the tenant with an active session are signalled, by their account or by a group', async (t) => {
  const { users, store, signalled } = await scene(t)
  await users([
    { read: 0 },
    { read: 0, groups: [oid(7), GROUP] },
    { read: 0, groups: [oid(7)] },
    { read: 0, groups: [GROUP], session: false },
    { read: 0, groups: [GROUP], active: false },
    { read: 0, groups: [GROUP], tid: OTHER_TENANT },
  ])
  t.equal(await store.record('a', round({})), 0)
  t.equal(await store.record('a', round({ users: [oid(0), oid(3), oid(4), oid(5), oid(999)], groups: [oid(6)] })), 1)
  t.strictSame(await signalled(), ['u0'])
  t.equal(await store.record('a', round({ groups: [GROUP] })), 1)
  t.strictSame(await signalled(), ['u0', 'u1'])
})

// proves: sync-groups-hashed
t.test('a round that names thousands of groups is stored within the time limit of a statement', async (t) => {
  const { query, users, store, signalled } = await scene(t)
  await users([{ read: 0, groups: [GROUP] }])
  await query(`with given as (select gen_random_uuid() as id, n from generate_series(1, 20000) n),
    u as (insert into users (id, username, username_key) select id, 'many' || n, 'many' || n from given)
    insert into entra_readings (user_id, group_ids, read_at)
      select id, array(select md5(n::text || '-' || g)::uuid from generate_series(1, 50) g), now() from given`)
  const groups = [...Array.from({ length: 10_000 }, (_, n) => oid(0x10000 + n)), GROUP]
  t.equal(await store.record('a', round({ groups })), 1)
  t.strictSame(await signalled(), ['u0'])
})

// proves: delta-every-slice
t.test('the snapshots are looked at in slices, and each user is signalled and counted once', async (t) => {
  for (const slice of [1, 2, 3, 7, 8]) {
    const { users, store, signalled } = await scene(t, slice)
    await users(Array.from({ length: 7 }, (_, n) => ({ read: 0, groups: n === 3 ? [] : [GROUP, oid(7)] })))
    const named = [oid(0), oid(1), oid(3)]
    t.equal(await store.record('a', round({ users: named, groups: [GROUP, oid(7)] })), 7, `slices of ${slice}`)
    t.strictSame(await signalled(), ['u0', 'u1', 'u2', 'u3', 'u4', 'u5', 'u6'])
  }
})

t.test('after a failure between two slices the next round signals all of them again', async (t) => {
  const { users, store, signalled, query } = await scene(t, 2)
  await users(Array.from({ length: 7 }, () => ({ read: 0, groups: [GROUP] })))
  await store.record('a', round({ chains: [chain(1, { pages: 1 })] }))
  await query(`create function refuse() returns trigger language plpgsql as $$ begin
    if (select count(*) from change_signals) >= 4 then raise 'no'; end if; return new; end $$;
    create trigger refuse before insert on change_signals execute function refuse()`)
  const changed = round({ groups: [GROUP], chains: [chain(1, { pages: 2 })] })
  await t.rejects(store.record('a', changed))
  t.equal((await signalled()).length, 4, 'two slices')
  t.strictSame((await store.chains('a')).map(({ pages }) => pages), [1], 'the link is the one before')
  await query('drop trigger refuse on change_signals')
  t.equal(await store.record('a', changed), 7)
  t.strictSame((await store.chains('a')).map(({ pages }) => pages), [2])
})

// proves: delta-signal-moved
t.test('a user that is signalled again has to be read again', async (t) => {
  const { users, store, query } = await scene(t)
  await users([{ read: 0, groups: [GROUP], signalled: HOUR }])
  const times = () =>
    query<{ young: boolean }>("select signalled_at > now() - interval '30 min' as young from change_signals")
  t.strictSame(await times(), [{ young: false }])
  await query("update entra_readings set read_at = now() - interval '2 hours'")
  t.equal(await store.record('a', round({ groups: [GROUP] })), 1)
  t.strictSame(await times(), [{ young: true }])
})

// proves: delta-settled-every-slice
t.test('answered signals are removed in slices, and the next round continues', async (t) => {
  const { users, store, signalled } = await scene(t, 1)
  await users(Array.from({ length: 14 }, (_, n) => ({ read: 0, signalled: n % 2 === 0 ? HOUR : SECOND })))
  for (let rounds = 0; rounds < 3; rounds++) await store.record('a', round({}))
  const open = Array.from({ length: 7 }, (_, n) => `u${2 * n + 1}`).sort()
  t.strictSame(await signalled(), open, 'those that are not answered stay')
})

t.test('a user whose row is locked delays no round, and signals of removed users are removed', async (t) => {
  const { query, users, store, signalled } = await scene(t)
  await users([{ read: 0 }, { read: 0 }])
  await query('begin')
  await query('select 1 from users for update')
  t.equal(await store.record('a', round({ users: [oid(0), oid(1)] })), 2)
  await query("delete from users where username = 'u0'")
  await query('commit')
  await store.record('a', round({}))
  t.strictSame(await signalled(), ['u1'])
  t.strictSame(await query('select count(*)::int as n from change_signals'), [{ n: 1 }])
})

t.test('links are kept in the order of their reads, and those of another scope are removed', async (t) => {
  const { store } = await scene(t)
  const chains = [chain(1), chain(2, { kind: 'users', groupIds: [], nested: {}, added: [], announced: true })]
  await store.record('a', round({ chains }))
  t.strictSame(await store.chains('a'), chains)
  t.strictSame(await store.chains('b'), [])
  const changed = [
    chain(1, { link: 'https://graph.microsoft.com/v1.0/groups/delta?$deltatoken=new', pages: 0 }),
    chain(3),
  ]
  await store.record('a', { ...round({ chains: changed }), read: new Set([oid(1)]) })
  t.strictSame((await store.chains('a')).map(({ id, link, pages }) => [id, link, pages]), [
    ...[changed[0], changed[1]].map((each) => [each?.id, each?.link, each?.pages]),
  ])
  await store.record('b', round({ chains: [chain(4)] }))
  t.strictSame(await store.chains('a'), [], 'of another tenant, registration or Graph')
})

// proves: delta-links-last
t.test('a link is not stored without the signals before it', async (t) => {
  const { store, query } = await scene(t)
  await store.record('a', round({ chains: [chain(1, { pages: 1 })] }))
  await query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before insert on change_signals execute function refuse()`)
  await t.rejects(store.record('a', round({ users: [oid(0)], chains: [chain(1, { pages: 2 })] })))
  t.strictSame((await store.chains('a')).map(({ pages }) => pages), [1])
})

// proves: sync-signals-first, sync-signal-answered
t.test('a user with a signal is due immediately and first, until a snapshot that is younger', async (t) => {
  const { users, due } = await scene(t)
  const crowd = Array.from({ length: 3_000 }, () => ({ read: 10 * MINUTE }))
  await users([{ read: 5 * SECOND, signalled: 2 * SECOND }, ...crowd])
  t.equal((await due())[0], 'u0')
  t.notOk((await due({ overdueOnly: true })).includes('u0'), 'in the first query of a run alone')
  await users([{ read: 5 * SECOND, signalled: 20 * SECOND }, { read: 5 * SECOND }])
  t.strictSame(await due({ runEveryMs: NO_SHARE }), [], 'the snapshot is younger')
})

// proves: sync-signal-settled
t.test('a user with a signal is due once more a minute later, because Graph may have lagged', async (t) => {
  const { users, due } = await scene(t)
  await users([
    { read: 50 * SECOND, signalled: 65 * SECOND }, // read 15 s after the signal, which is 65 s old
    { read: 30 * SECOND, signalled: 45 * SECOND },
    { read: 3 * SECOND, signalled: 65 * SECOND },
  ])
  t.strictSame(await due({ usersPerSecond: 1e6, runEveryMs: 1 }), ['u0'])
})

t.test('a failed attempt after a signal is repeated after its delay, a missing account after a minute', async (t) => {
  const { users, due } = await scene(t)
  await users([
    { read: 40 * SECOND, signalled: 30 * SECOND, tried: 20 * SECOND },
    { read: 40 * SECOND, signalled: 30 * SECOND, tried: 10 * SECOND },
    { read: 4 * MINUTE, signalled: 90 * SECOND, tried: 61 * SECOND, missing: 61 * SECOND },
    { read: 4 * MINUTE, signalled: 55 * SECOND, tried: 50 * SECOND, missing: 50 * SECOND },
    { read: HOUR, privileged: true },
  ])
  const order = (await due()).slice(0, 3)
  t.strictSame(order, ['u2', 'u4', 'u0'], 'by turns with the user beyond the floor')
  t.strictSame(await due({ overdueOnly: true }), ['u4', 'u2', 'u0'], 'later in a run by their delay alone')
})

// proves: sync-floor-first, sync-signals-limited
t.test('users beyond the floor and users with signals take turns, and nobody else comes before', async (t) => {
  const { users, due } = await scene(t)
  const many = (count: number, user: User) => Array.from({ length: count }, () => user)
  await users([
    ...many(300, { read: 30 * SECOND, signalled: SECOND }),
    ...many(300, { read: 23.5 * HOUR }),
    ...many(100, { read: 20 * MINUTE, privileged: true }),
    ...many(100, { read: 20 * MINUTE }),
  ])
  const kindOf = (name: string) => {
    const n = Number(name.slice(1))
    if (n < 300) return 'signal'
    if (n < 600) return 'floor'
    return n < 700 ? 'privileged' : 'other'
  }
  const order = (await due()).map(kindOf)
  const count = (part: readonly string[], kind: string) => part.filter((each) => each === kind).length
  t.strictSame({ signal: count(order.slice(0, 100), 'signal'), floor: count(order.slice(0, 100), 'floor') }, {
    signal: 50,
    floor: 50,
  })
  t.ok(order.slice(600, 700).every((kind) => kind === 'privileged'))
  t.ok(order.slice(700).every((kind) => kind === 'other'))
  const limited = (await due({ usersPerSecond: 4, runEveryMs: 15 * SECOND })).map(kindOf)
  t.equal(count(limited, 'signal'), 60, 'as many signals as a run can read')
})

// proves: sync-cycle-stretched, sync-floor-kept
t.test('with more users than Graph allows the cycle takes longer, up to the floor', async (t) => {
  const { users, due } = await scene(t)
  const ages = [6 * MINUTE, 15 * MINUTE, 18 * MINUTE, 55 * MINUTE]
  await users([...ages.map((read) => ({ read })), ...ages.map((read) => ({ read, privileged: true }))])
  const late = (usersPerSecond: number, floor = QUERY.floor) => due({ usersPerSecond, floor, overdueOnly: true })
  t.equal((await late(300)).length, 8, 'everyone within the cycle')
  t.strictSame((await late(8 / (16 * 60))).sort(), ['u2', 'u3', 'u6', 'u7'], 'eight users in sixteen minutes')
  t.strictSame((await late(8 / (600 * 60))).sort(), ['u7'], 'staff and superusers within their own floor')
  const floor = { privilegedMs: 50 * MINUTE, othersMs: 17 * MINUTE }
  t.strictSame((await late(8 / (600 * 60), floor)).sort(), ['u2', 'u3', 'u7'], 'the others within theirs')
  await users(Array.from({ length: 8 }, () => ({ read: MINUTE })))
  const share = await due({ usersPerSecond: 8 / (600 * 60), floor, runEveryMs: 10 * MINUTE })
  t.equal(share.length, 4, 'spread over the floor: ten of seventeen minutes')
})

// proves: sync-turns
t.test('with more signals than one run can read every second user is one that is due by time', async (t) => {
  const { users, due } = await scene(t)
  const many = (count: number, user: User) => Array.from({ length: count }, () => user)
  await users([
    ...many(4_500, { read: MINUTE, signalled: SECOND }),
    ...many(450, { read: 40 * MINUTE }),
    ...many(50, { read: 40 * MINUTE, privileged: true }),
  ])
  const order = await due()
  t.equal(order.length, 4_500, 'as many as one run can read')
  const timed = order.flatMap((name, place) => Number(name.slice(1)) >= 4_500 ? [{ name, place }] : [])
  t.equal(timed.length, 500)
  t.ok((timed.at(-1)?.place ?? Infinity) < 1_000)
  t.ok(timed.slice(0, 50).every(({ name }) => Number(name.slice(1)) >= 4_950), 'staff first')
})

// proves: sync-signal-again
t.test('after a failure the time since the signal is waited, but never beyond the time without a signal', async (t) => {
  const { users, due } = await scene(t)
  await users([
    { read: 100 * SECOND, signalled: 90 * SECOND, tried: 20 * SECOND }, // failed 70 s after the signal
    { read: 150 * SECOND, signalled: 140 * SECOND, tried: 75 * SECOND },
    { read: 280 * SECOND, signalled: 270 * SECOND, tried: 20 * SECOND },
  ])
  t.strictSame((await due({ usersPerSecond: 1e6, runEveryMs: SECOND })).sort(), ['u1', 'u2'])
})

t.test('signals never delay anyone: whoever is due without them is due with them, at twice the place', async (t) => {
  const { users, due } = await scene(t)
  const age = fc.integer({ min: 0, max: 30 * 60 }).map((minutes) => minutes * MINUTE + 500)
  const user = fc.record({
    read: age,
    privileged: fc.boolean(),
    signalled: fc.option(fc.integer({ min: 1, max: 400 }).map((seconds) => seconds * SECOND), { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(user, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 40 }),
      async (drawn, rate) => {
        const crowd = drawn.map((each, n) => ({ ...each, read: each.read + 7 * n })) // no equal times
        const changes = { usersPerSecond: rate / 2, overdueOnly: false, runEveryMs: 15 * SECOND }
        await users(crowd.map(({ read, privileged }) => ({ read, privileged })))
        const without = await due(changes)
        await users(crowd.map(({ signalled, ...rest }) => signalled === undefined ? rest : { ...rest, signalled }))
        const withSignals = await due(changes)
        for (const [place, name] of without.entries()) {
          const now = withSignals.indexOf(name)
          assert.ok(now >= 0 && now + 1 <= 2 * (place + 1), `${name} is at ${now + 1}, and without at ${place + 1}`)
        }
      },
    ),
    { numRuns: 40 },
  )
  t.pass()
})
