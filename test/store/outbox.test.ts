// The outbox on a real PostgreSQL: what each statement records, that no transaction of others delays it, and that every
// replica receives it.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createHistory } from '../../src/core/history.js'
import type { ChangeNotification } from '../../src/core/session-cache.js'
import { createChangeFeed } from '../../src/store/change-feed/feed.js'
import { readOutbox, sweepOutbox } from '../../src/store/change-feed/outbox.js'
import { migrate } from '../../src/store/migrate.js'
import { OPEN_TRANSACTIONS } from '../../src/store/postgres-server-state.js'
import type { CurrentServer } from '../../src/store/server-of-record/record.js'
import { openServerOfRecord, serverAt } from '../../src/store/server-of-record/server-of-record.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'
import { startStreamingPair } from '../helpers/streaming-pair.js'

const hashOf = (index: number): string => index.toString(16).padStart(64, '0')
const id = (digit: number): string => `${digit}0000000-0000-4000-8000-000000000000`
const SILENT = { error: () => {}, warn: () => {}, info: () => {} }

/** A person with sessions 0 to 99. */
async function seed(query: Query): Promise<void> {
  await query(`insert into users (id, username, username_key) values ('${id(1)}', 'a', 'a')`)
  await query(`insert into sessions (id_hash, public_id, user_id)
    select decode(lpad(to_hex(n), 64, '0'), 'hex'), 'ses_' || n, '${id(1)}' from generate_series(0, 99) n`)
}

const deleteSession = (index: number): string => `delete from sessions where id_hash = '\\x${hashOf(index)}'`

/** Waits without a pause of its own that would count. */
async function comes(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`it did not come: ${holds.toString()}`)
    await sleep(2)
  }
}

async function openFeed(t: Test, url: string, replica: string) {
  const server = await openServerOfRecord({ url, log: SILENT })
  const received: ChangeNotification[] = []
  const gaps: number[] = []
  const history = createHistory()
  const keys = { changed: 0 }
  const feed = createChangeFeed({
    server,
    history,
    replica,
    onChange: (change) => received.push(change),
    onKeys: () => keys.changed++,
    onGap: (since) => gaps.push(since),
    replicas: {
      announcement: () => ({ name: replica, config: '0'.repeat(64) }),
      receive: () => {},
      expireAndCompare: () => {},
    },
    log: SILENT,
  })
  t.teardown(async () => {
    await feed.close()
    server.close()
  })
  await comes(() => feed.connected() && feed.listens())
  const hashes = (): readonly string[] => received.flatMap((each) => each.kind === 'sessions' ? each.hashes : [])
  return { feed, received, gaps, history, keys, hashes, has: (index: number) => hashes().includes(hashOf(index)) }
}

async function client(t: Test, url: string): Promise<pg.Client> {
  const made = new pg.Client({ connectionString: url })
  made.on('error', () => {})
  await made.connect()
  t.teardown(() => made.end().catch(() => {}))
  return made
}

t.test('what each statement records', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const group = `${id(5)}`
  await query(`insert into groups (id, name) values ('${group}', 'g')`)
  const key = "insert into signing_keys (kid, public_jwk, sealed_private_key) values ('k1', '{}', '')"
  const statements: readonly (readonly [string, Readonly<Record<string, readonly string[]>>])[] = [
    [deleteSession(1), { 'session.ended': [hashOf(1)] }],
    ['update users set last_login_at = now()', {}],
    ["update users set name = 'A'", { 'user.changed': [id(1)] }],
    ['update users set is_active = false', { 'user.deactivated': [id(1)] }],
    ['update users set is_active = true', { 'user.activated': [id(1)] }],
    [
      "update users set is_staff = true, is_superuser = true, email = 'a@b'",
      { 'user.changed': [id(1)], 'staff.given': [id(1)], 'superuser.given': [id(1)] },
    ],
    ['update users set is_staff = false', { 'staff.lost': [id(1)] }],
    ['update users set is_superuser = false', { 'superuser.lost': [id(1)] }],
    [`insert into user_groups values ('${id(1)}', '${group}')`, { 'group.given': [`${id(1)}/${group}`] }],
    ["update user_groups set cause = '[]'", {}],
    ['delete from user_groups', { 'group.lost': [`${id(1)}/${group}`] }],
    [`insert into group_permissions values ('${group}', 'a/b')`, { 'permission.given': [`${group}/a/b`] }],
    ['delete from group_permissions', { 'permission.lost': [`${group}/a/b`] }],
    [
      `insert into identities (tid, oid, user_id) values ('${id(2)}', '${id(3)}', '${id(1)}')`,
      { 'identity.given': [`${id(1)}/${id(2)}/${id(3)}`] },
    ],
    ['delete from identities', { 'identity.lost': [`${id(1)}/${id(2)}/${id(3)}`] }],
    ["update groups set name = 'h'", { 'everything': ['groups'] }],
    ["update groups set description = 'h'", {}],
    ['delete from groups', { 'group.removed': [group] }],
    [key, { 'keys.changed': ['signing_keys'] }],
    ['delete from signing_keys', { 'key.withdrawn': ['k1'] }],
    ['truncate sessions', { 'bulk': ['sessions'] }],
    ['delete from users', { 'user.removed': [id(1)] }],
    ['delete from users', {}],
  ]
  for (const [statement, wanted] of statements) {
    await query('delete from changes')
    await query(statement)
    const rows = await query<{ kind: string, subjects: string[] }>('select kind, subjects from changes order by id')
    t.strictSame(Object.fromEntries(rows.map(({ kind, subjects }) => [kind, subjects])), wanted, statement)
  }
  await query(`insert into users (username, username_key) select n::text, n::text from generate_series(1, 50001) n`)
  await query('delete from changes')
  await query("update users set name = 'x' where username <> '50001'")
  const sizes = await query('select kind, max(cardinality(subjects)) as most, count(*)::int from changes group by kind')
  t.strictSame(sizes, [{ kind: 'user.changed', most: 1_000, count: 50 }])
  await query('delete from changes')
  await query("update users set name = 'y'")
  t.strictSame(await query('select kind, subjects from changes'), [{ kind: 'bulk', subjects: ['user.changed'] }])
})

t.test('a role that may change a table records the change, and nothing else', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  await query('drop role if exists gatehouse_outbox_test')
  await query('create role gatehouse_outbox_test')
  t.teardown(async () => {
    await query('reset role')
    await query('drop owned by gatehouse_outbox_test')
    await query('drop role gatehouse_outbox_test')
  })
  await query('grant select, delete on sessions to gatehouse_outbox_test')
  await query('set role gatehouse_outbox_test')
  await query(deleteSession(1))
  await t.rejects(query("insert into changes (kind, subjects) values ('session.ended', '{}')"), /permission denied/)
  await t.rejects(query("select gatehouse_record('session.ended', array['x'])"), /permission denied/)
  await query('create temporary table changes (kind text, subjects text[])') // found before any other of this name
  await query(deleteSession(2))
  await query('reset role')
  t.strictSame(await query('select subjects[1] as hash from public.changes order by id'), [
    { hash: hashOf(1) },
    { hash: hashOf(2) },
  ])
})

// proves: outbox-visible
t.test('no transaction of others delays a change', async (t) => {
  const pair = await startStreamingPair(t)
  if (pair === undefined) return
  const { a, b } = pair
  b.stop('fast')
  await migrate(a.url)
  const admin = await connect(t, a.adminUrl)
  await seed(admin)
  const one = await openFeed(t, a.url, 'a')
  const two = await openFeed(t, a.url, 'b')
  const both = [one, two]

  const elsewhere = await client(t, a.adminUrl.replace(/[^/]+$/, 'postgres'))
  await elsewhere.query('begin; create table writes_here (n int); insert into writes_here values (1)')
  const beside = await client(t, a.url)
  await beside.query(`begin isolation level repeatable read; ${deleteSession(1)}`)
  const prepared = await client(t, a.url)
  await prepared.query(`begin; ${deleteSession(2)}; prepare transaction 'later'`)
  await admin("alter system set synchronous_standby_names = 'absent'")
  await admin('select pg_reload_conf()')
  const hung = await client(t, a.url)
  await hung.query("set synchronous_commit = 'on'")
  const commits = hung.query(deleteSession(3))
  await comes(async () => (await admin("select from pg_stat_activity where wait_event = 'SyncRep'")).length > 0)

  const local = await client(t, a.url)
  await local.query("set synchronous_commit = 'local'")
  const times: number[] = []
  for (let index = 10; index < 60; index++) {
    await local.query(deleteSession(index))
    const committed = performance.now()
    await comes(() => both.every(({ has }) => has(index)))
    times.push(performance.now() - committed)
  }
  times.sort((x, y) => x - y)
  t.comment(`received by both after ${times[25]?.toFixed(0)} ms (p50), ${times.at(-1)?.toFixed(0)} ms (longest)`)
  t.ok((times.at(-1) ?? Infinity) < 1_000, 'within a second')
  for (const { has } of both) t.strictSame([1, 2, 3].filter(has), [], 'what is not committed is not received')

  const open = (await admin<{ who: string }>(OPEN_TRANSACTIONS)).map(({ who }) => who)
  t.ok(open.includes('the prepared transaction later in the database gatehouse'), 'doctor finds it')
  t.ok(open.some((who) => /^process \d+ .* in the database postgres$/.test(who)), 'and that of another database')
  await admin("alter system set synchronous_standby_names = ''")
  await admin('select pg_reload_conf()')
  await commits
  await comes(() => both.every(({ has }) => has(3)))
  await prepared.query("commit prepared 'later'")
  await comes(() => both.every(({ has }) => has(2)))
  await beside.query('commit')
  await comes(() => both.every(({ has }) => has(1)))
  await elsewhere.query('rollback')
  for (const { hashes } of both) t.equal(new Set(hashes()).size, hashes().length, 'each is received once')
})

// proves: outbox-swept
t.test('what all have read is deleted, and what is not committed yet is not', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const reader = await client(t, url)
  const server: CurrentServer = serverAt(url).current()
  const { snapshot: start } = await readOutbox(reader, server, undefined)
  const open = await client(t, url)
  await open.query(`begin; ${deleteSession(1)}`)
  await query(deleteSession(2))
  await query("insert into changes (xid, kind, subjects) values ('999999999999', 'everything', '{}')")
  const { snapshot, changes } = await readOutbox(reader, server, start)
  t.strictSame(changes, [{ kind: 'session.ended', subjects: [hashOf(2)] }], 'none of another cluster')
  await query(deleteSession(3))
  await open.query('commit')
  await sweepOutbox(reader, snapshot)
  t.strictSame(
    await query('select subjects from changes order by id'),
    [{ subjects: [hashOf(1)] }, { subjects: [hashOf(3)] }],
    'committed after the snapshot, and recorded before it',
  )
  t.strictSame((await readOutbox(reader, server, snapshot)).changes?.map(({ subjects }) => subjects[0]), [
    hashOf(1),
    hashOf(3),
  ])
})

t.test('too many changes at once concern everything', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const one = await openFeed(t, url, 'a')
  const before = performance.now()
  t.ok(one.history.tombstones.reachBackTo(before))
  await query(`insert into changes (kind, subjects) select 'user.changed', array['${id(1)}']
    from generate_series(1, 5001)`)
  await comes(() => one.received.length > 0)
  t.strictSame(one.received, [{ kind: 'everything' }])
  t.equal(one.keys.changed, 1)
  t.notOk(one.history.tombstones.reachBackTo(before), 'what they took away is not known')
})

// proves: outbox-gap
t.test('after a short interruption nothing is missing, after a long one that is known', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const one = await openFeed(t, url, 'a')
  const began = performance.now()
  const interrupt = async (statement: string): Promise<void> => {
    await query(`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'gatehouse %' and datname = current_database()`)
    await comes(() => !one.feed.connected())
    await query(statement)
    await comes(() => one.feed.connected())
  }
  await interrupt(deleteSession(1))
  t.ok(one.has(1))
  t.ok(one.history.tombstones.reachBackTo(began))
  t.strictSame(one.history.tombstones.taken().get('session.ended'), [hashOf(1)])
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  const before = one.gaps.length
  Date.now = () => now() - 3_600_000 // the clock was set back
  await query(deleteSession(2))
  await comes(() => one.has(2))
  t.equal(one.gaps.length, before, 'which means nothing')
  t.ok(one.feed.connected())
  Date.now = () => now() + 3_600_000 // the machine was suspended, or the clock was set forward
  await comes(() => one.gaps.at(-1) === -Infinity && !one.history.tombstones.reachBackTo(began))
  t.ok(one.feed.connected())
})

// proves: outbox-verified
t.test('an outbox of another server is not read', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const server = await openServerOfRecord({ url, log: SILENT })
  t.teardown(() => server.close())
  const reader = await client(t, url)
  await t.resolves(readOutbox(reader, server.current(), undefined))
  await t.rejects(readOutbox(reader, { ...server.current(), key: '00000009/1' }, undefined), /another server/)
})

t.test('replicas of the previous release are notified', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const previous = await client(t, url)
  const payloads: (string | undefined)[] = []
  previous.on('notification', ({ payload }) => payloads.push(payload))
  await previous.query('listen gatehouse')
  await query(deleteSession(1))
  await comes(() => payloads.length > 0)
  t.strictSame(payloads.splice(0), ['*'], 'by the commit itself, where no replica of this release runs')

  const one = await openFeed(t, url, 'a')
  await query(deleteSession(2))
  await comes(() => payloads.length > 0)
  t.strictSame(payloads.splice(0), [`s ${hashOf(2)}`], 'by the notifier, of what to read again')
  await query("update users set name = 'x'")
  await query("insert into signing_keys (kid, public_jwk, sealed_private_key) values ('k1', '{}', '')")
  await query('truncate sessions')
  await comes(() => payloads.length >= 3)
  t.strictSame(payloads.splice(0), [`u ${id(1)}`, 'k', '*'])
  await one.feed.close()
  t.strictSame(await query('select * from replicas'), [], 'a replica that was stopped leaves no row')
  await query("update users set name = 'y'")
  await comes(() => payloads.length > 0)
  t.strictSame(payloads.splice(0), ['*'])

  await query(`insert into replicas (replica, heartbeats, heartbeat_at) values
    ('killed', 1, clock_timestamp() - interval '4 seconds'), ('ahead', 1, clock_timestamp() + interval '1 hour')`)
  await query("update users set name = 'z'")
  await comes(() => payloads.length > 0)
  t.strictSame(payloads.splice(0), ['*'], 'their heartbeats are too old, or of a clock that went back')
})

t.test('where the notifier is killed, another replica notifies', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const replicas = [await openFeed(t, url, 'a'), await openFeed(t, url, 'b'), await openFeed(t, url, 'c')]
  const [first, ...others] = replicas
  await sleep(2_500)
  await query(deleteSession(1))
  await comes(() => replicas.every(({ has }) => has(1)))
  await first?.feed.close()
  const times: number[] = []
  for (let index = 2; index < 12; index++) {
    await query(deleteSession(index))
    const committed = performance.now()
    await comes(() => others.every(({ has }) => has(index)))
    times.push(performance.now() - committed)
  }
  t.ok(Math.max(...times) < 1_000, 'within a second, also meanwhile')
})
