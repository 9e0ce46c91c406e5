// The outbox on a real PostgreSQL: what each statement records, that no transaction of others delays it, and that every
// replica receives it.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createHistory } from '../../src/core/history.js'
import type { ChangeNotification } from '../../src/core/session-cache.js'
import { createChangeFeed } from '../../src/store/change-feed/feed.js'
import { readOutbox, sweepOutbox } from '../../src/store/change-feed/outbox.js'
import { createOutboxReader } from '../../src/store/change-feed/reader.js'
import { createSweeper } from '../../src/store/change-feed/sweeper.js'
import { notificationsArrive } from '../../src/store/change-feed/notification-trial.js'
import { writeHeartbeat } from '../../src/store/change-feed/replica-rows.js'
import { migrate } from '../../src/store/migrate.js'
import { OPEN_TRANSACTIONS } from '../../src/store/postgres-server-state.js'
import type { CurrentServer } from '../../src/store/server-of-record/record.js'
import { openServerOfRecord, serverAt } from '../../src/store/server-of-record/server-of-record.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, endConnections, type Query } from '../helpers/sql.js'
import { startRelay } from '../helpers/relay.js'
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

async function openFeed(t: Test, url: string, replica: string, { listens = true } = {}) {
  const server = await openServerOfRecord({ url, log: SILENT })
  const received: ChangeNotification[] = []
  const gaps = { count: 0 }
  const history = createHistory()
  const keys = { changed: 0 }
  const feed = createChangeFeed({
    server,
    history,
    replica,
    onChange: (change) => received.push(change),
    onKeys: () => keys.changed++,
    onGap: () => gaps.count++,
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
  const query = await connect(t, url)
  await comes(async () =>
    feed.connected() &&
    (await query('select from replicas where replica = $1 and listens = $2', [replica, listens])).length > 0
  )
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

function token(index: number): string {
  return `insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at)
    values ('tok_${index}', 'admin', 'n', '${id(1)}', '{}', '\\x0${index}', 'test', now() + interval '1 day')`
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
    ["update user_groups set until = '2999-01-01'", {}], // the mapping grants it: its end does not count
    ['update user_groups set cause = null', { 'group.lost': [`${id(1)}/${group}`] }],
    ["update user_groups set until = '2998-01-01'", { 'group.lost': [`${id(1)}/${group}`] }],
    ["update user_groups set until = '2999-01-01', since = now()", { 'group.given': [`${id(1)}/${group}`] }],
    ['update user_groups set since = now()', {}],
    ['update user_groups set until = null', { 'group.given': [`${id(1)}/${group}`] }],
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
    [token(1), {}],
    ['update tokens set last_used_at = now()', {}],
    ['update tokens set revoked_at = now()', { 'token.revoked': ['tok_1'] }],
    ['update tokens set revoked_at = now()', {}],
    [token(2), {}],
    ['delete from tokens', { 'token.revoked': ['tok_2'] }],
    ['truncate tokens', { 'bulk': ['tokens'] }],
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

t.test('a role that may create functions does not get the rights of the owner', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  await query('drop role if exists gatehouse_outbox_attacker')
  await query('create role gatehouse_outbox_attacker')
  t.teardown(async () => {
    await query('reset role')
    await query('drop owned by gatehouse_outbox_attacker cascade')
    await query('drop role gatehouse_outbox_attacker')
  })
  await query('grant create on schema public to gatehouse_outbox_attacker')
  await query('grant select, delete on sessions, user_groups to gatehouse_outbox_attacker')
  await query(`insert into groups (id, name) values ('${id(5)}', 'g')`)
  await query(`insert into user_groups (user_id, group_id) values ('${id(1)}', '${id(5)}')`)
  await query('set role gatehouse_outbox_attacker')
  await query('create table stolen (who text)')
  await query('grant insert on stolen to public')
  // found before the function of PostgreSQL, which takes any array, where the schema is in the search path
  await query(`create function public.array_length(text[], int) returns int language sql as
    'insert into public.stolen values (current_user); select 1'`)
  await query('delete from user_groups')
  await query(deleteSession(1))
  await query('reset role')
  t.strictSame(await query("select * from stolen where who <> 'gatehouse_outbox_attacker'"), [])
  t.strictSame((await query<{ kind: string }>('select kind from changes order by id')).map(({ kind }) => kind), [
    'group.given',
    'group.lost',
    'session.ended',
  ])
})

/** The schema of the previous release. */
async function migrateToPrevious(query: Query): Promise<void> {
  const { entries } = JSON.parse(readFileSync('migrations/meta/_journal.json', 'utf8')) as {
    entries: { tag: string, when: number }[]
  }
  await query('create schema drizzle')
  await query(
    'create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)',
  )
  for (const { tag, when } of entries.filter((each) => each.tag < '0007')) {
    await query(readFileSync(`migrations/${tag}.sql`, 'utf8'))
    await query('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [tag, when])
  }
}

// proves: migrate-deadlock
t.test('an upgrade that meets a transaction in the opposite order is tried again', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  await migrateToPrevious(query)
  const other = await client(t, url)
  await other.query("set deadlock_timeout = '1min'") // the upgrade is the one that is refused, however slow it is
  await other.query('begin; lock table sessions in row exclusive mode')
  const upgrade = migrate(url)
  await comes(async () =>
    (await query(`select from pg_locks join pg_database d on d.oid = database
      where datname = current_database() and mode = 'ShareRowExclusiveLock' and not granted`)).length > 0
  )
  await other.query('lock table users in row exclusive mode')
  await other.query('commit')
  t.match(await upgrade, ['0007_outbox'])
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
  await query('delete from outbox')
  t.match(
    await readOutbox(reader, server, snapshot),
    { isGap: true, changes: undefined },
    'it is not known what was swept',
  )
  await sweepOutbox(reader, snapshot)
  t.match(await readOutbox(reader, server, snapshot), { isGap: false, changes: { length: 2 } }, 'and goes on')
})

// proves: outbox-refused
t.test('where the server refuses a sweep, reading goes on', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const reading = await client(t, url)
  const warnings: string[] = []
  const failures: unknown[] = []
  const received: ChangeNotification[] = []
  const isOver = { is: false }
  const reader = createOutboxReader({
    client: reading,
    server: serverAt(url).current(),
    self: 'a',
    pace: () => 5,
    isOver: () => isOver.is,
    isNotifier: () => false,
    isSweeper: () => true,
    sweeper: createSweeper({ client: reading, sweepEveryMs: 0, sweptAfterMs: 0 }),
    position: undefined,
    tombstones: createHistory().tombstones,
    onChange: (change) => received.push(change),
    onKeys: () => {},
    onReading: () => {},
    onRead: () => {},
    onFailed: (error) => failures.push(error),
    log: { warn: (_facts, text) => warnings.push(text) },
  })
  t.teardown(() => {
    isOver.is = true
  })
  const blocker = await client(t, url)
  await blocker.query('begin; select from outbox for update')
  reader.read()
  await comes(() => warnings.length > 0)
  await query(deleteSession(1))
  await comes(() => received.length > 0)
  t.strictSame(received, [{ kind: 'sessions', hashes: [hashOf(1)] }])
  await blocker.query('rollback')
  await comes(async () => (await query('select from changes')).length === 0)
  t.strictSame(warnings, ['the outbox cannot be swept: the table changes grows'], 'said once')
  await blocker.query('begin; select from outbox for update')
  await comes(() => warnings.length > 1)
  t.strictSame(failures, [])
  await endConnections(query, `pid = ${String((reading as unknown as { processID: number }).processID)}`)
  await comes(() => failures.length > 0)
  t.pass('a lost connection is reported')
})

t.test('too many changes at once concern everything', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const one = await openFeed(t, url, 'a')
  const before = performance.now()
  t.ok(one.history.tombstones.reachBackTo(before))
  one.received.splice(0)
  one.keys.changed = 0
  await query(`insert into changes (kind, subjects) select 'user.changed', array['${id(1)}']
    from generate_series(1, 1001)`)
  await comes(() => one.received.length > 0)
  t.strictSame(one.received, [{ kind: 'everything' }])
  t.equal(one.keys.changed, 1)
  t.notOk(one.history.tombstones.reachBackTo(before), 'what they took away is not known')

  const changed = async (count: number): Promise<readonly ChangeNotification[]> => {
    one.received.splice(0)
    await query(`insert into changes (kind, subjects) select 'user.changed', array_agg('${id(1)}'::text)
      from generate_series(0, ${count - 1}) n group by n / 1000`)
    await comes(() => one.received.length > 0)
    return one.received
  }
  t.equal((await changed(50_000)).length, 50, 'fifty thousand users in fifty changes')
  t.ok(one.received.every(({ kind }) => kind === 'users'))
  t.strictSame(await changed(50_001), [{ kind: 'everything' }], 'too many to list')
})

// proves: outbox-everything-once
t.test('everything is read again once, however many changes concern everything', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const one = await openFeed(t, url, 'a')
  one.received.splice(0)
  await query(`insert into changes (kind, subjects) select kind, array['groups']
    from unnest(array['everything', 'user.changed', 'bulk', 'everything']) as kind`)
  await comes(() => one.received.length > 0)
  t.ok(await one.feed.caughtUp())
  t.strictSame(one.received, [{ kind: 'everything' }])
})

// proves: lost-heartbeat-late
t.test('a heartbeat that arrives late does not take the counter back', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const writer = await client(t, url)
  const server: CurrentServer = serverAt(url).current()
  const beat = { replica: 'a', name: 'host:4180', config: '', listens: true }
  t.ok(await writeHeartbeat(writer, server, { ...beat, count: 7, confirmed: 0 }))
  t.ok(await writeHeartbeat(writer, server, { ...beat, count: 5, confirmed: 4 }), 'sent before, confirmed later')
  t.strictSame(await query('select heartbeats::int from replicas'), [{ heartbeats: 7 }])
  t.notOk(await writeHeartbeat(writer, server, { ...beat, count: 9, confirmed: 8 }), 'the server lacks one')
  t.strictSame(await query('select heartbeats::int from replicas'), [{ heartbeats: 7 }])
})

// proves: outbox-gap, live-missed
t.test('after a short interruption nothing is missing, after a long one that is known', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const one = await openFeed(t, url, 'a')
  const began = performance.now()
  const interrupt = async (work: () => Promise<unknown>): Promise<void> => {
    await endConnections(query, "application_name like 'gatehouse %'")
    await comes(() => !one.feed.connected())
    await work()
    await comes(() => one.feed.connected())
  }
  await interrupt(() => query(deleteSession(1)))
  t.ok(one.has(1))
  t.ok(one.history.tombstones.reachBackTo(began))
  t.strictSame(one.history.tombstones.taken(-Infinity).get('session.ended'), [hashOf(1)])
  const before = one.gaps.count
  const keys = one.keys.changed
  await interrupt(async () => {
    await query(deleteSession(2))
    await query(deleteSession(3)) // so that the snapshot shows the one before
    const sweeper = await client(t, url)
    const { snapshot } = await readOutbox(sweeper, serverAt(url).current(), undefined)
    await sweepOutbox(sweeper, snapshot)
    t.strictSame(await query('select * from changes'), [])
  })
  t.notOk(one.has(2), 'it is missing')
  t.equal(one.gaps.count, before + 1, 'and everything is read again')
  t.ok(one.keys.changed > keys, 'the signing keys, too')
  t.notOk(one.history.tombstones.reachBackTo(began))
})

// proves: live-suspended
t.test('after a suspension no cached session counts before the next read', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const { feed } = await openFeed(t, url, 'a')
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  const read = feed.lastReceivedAt()
  t.ok(feed.connected())
  Date.now = () => now() + 3_600_000 // the machine was suspended, or the clock was set forward
  t.notOk(feed.connected(read), 'monotonic clocks stood still')
  await comes(() => feed.connected())
  Date.now = () => now() - 3_600_000 // the clock was set back, which means nothing
  t.ok(feed.connected())
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

// proves: outbox-new-notifier
t.test('replicas of the previous release are notified', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const previous = await client(t, url)
  const payloads: (string | undefined)[] = []
  previous.on('notification', ({ payload }) => payloads.push(payload))
  await previous.query('listen gatehouse')
  const receives = async (...wanted: readonly string[]): Promise<void> => {
    await comes(() => payloads.length >= wanted.length)
    t.strictSame(payloads.splice(0), wanted)
  }
  const everything = ['*', 'k']
  await query(deleteSession(1))
  await receives(...everything) // by the commit itself, where no replica of this release runs

  const one = await openFeed(t, url, 'b')
  await receives(...everything) // by a new notifier
  await query(deleteSession(2))
  await receives(`s ${hashOf(2)}`) // by the notifier, of what to read again
  await query("update users set name = 'x'")
  await receives(`u ${id(1)}`)
  await query("insert into signing_keys (kid, public_jwk, sealed_private_key) values ('k1', '{}', '')")
  await receives('k')
  await query('truncate sessions')
  await receives('*')

  const two = await openFeed(t, url, 'a')
  await receives(...everything) // by another notifier
  await sleep(2_500) // until the first one notices it
  await two.feed.close()
  await query("update users set name = 'y'")
  await receives(...everything, ...everything) // by the one that stops, and by its successor
  await endConnections(query, "application_name like 'gatehouse %'")
  await query("update users set name = 'z'")
  await receives(...everything)
  await one.feed.close()
  await receives(...everything)
  t.strictSame(await query('select * from replicas'), [], 'a replica that was stopped leaves no row')

  await query(`insert into replicas (replica, heartbeats, heartbeat_at, listens) values
    ('killed', 1, clock_timestamp() - interval '4 seconds', true),
    ('ahead', 1, clock_timestamp() + interval '1 hour', true)`)
  await query("update users set name = 'a'")
  await receives(...everything) // they are too old, or of a clock that went back
  await query(
    "insert into replicas (replica, heartbeats, heartbeat_at, listens) values ('polls', 1, clock_timestamp(), false)",
  )
  await query("update users set name = 'b'; notify gatehouse, 'the end'")
  await receives('the end') // no commit notifies where a replica is alive, although notifications do not reach it
})

// proves: outbox-without-notifications
t.test('where the database has no notifications, changes are polled, and every write succeeds', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  await query('alter function pg_catalog.pg_notify(text, text) rename to pg_notify_of_others')
  await t.resolves(query(deleteSession(1)), 'without any replica')
  t.equal(await notificationsArrive(url), false)
  const lost: string[] = []
  const one = await openFeed(t, url, 'a', { listens: false })
  const beats = async () => (await query<{ heartbeats: number }>('select heartbeats::int from replicas'))[0]?.heartbeats
  const first = await beats() ?? 0
  await comes(async () => {
    if (!one.feed.connected()) lost.push('lost')
    return (await beats() ?? 0) >= first + 3
  })
  t.strictSame(lost, [], 'the feed stays')
  await query(deleteSession(2))
  await comes(() => one.has(2))
  await query('alter function pg_catalog.pg_notify_of_others(text, text) rename to pg_notify')
  t.equal(await notificationsArrive(url), true)
})

t.test('where the notifier is killed, another replica notifies', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seed(query)
  const { hostname, port } = new URL(url)
  const relay = await startRelay(t, `${hostname}:${port}`)
  const relayed = url.replace(`${hostname}:${port}`, relay.address)
  const replicas = [await openFeed(t, relayed, 'a'), await openFeed(t, url, 'b'), await openFeed(t, url, 'c')]
  const [, ...others] = replicas
  await sleep(2_500)
  await query(deleteSession(1))
  await comes(() => replicas.every(({ has }) => has(1)))
  relay.freeze() // its row stays, and nothing that it sends arrives
  const times: number[] = []
  for (let index = 2; index < 12; index++) {
    await query(deleteSession(index))
    const committed = performance.now()
    await comes(() => others.every(({ has }) => has(index)))
    times.push(performance.now() - committed)
  }
  t.ok(Math.max(...times) < 1_000, 'within a second, also meanwhile')
  t.equal((await query("select from replicas where replica = 'a'")).length, 1)
})
