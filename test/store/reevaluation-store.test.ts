// The store's side of a re-evaluation, on a real PostgreSQL: whose turn it is, what may be taken from whom, and what
// others do at the same time.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Standing, SyncPerson, SyncReading, SyncStore } from '../../src/core/reevaluation.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { createSyncStore } from '../../src/store/reevaluation-store.js'
import { createUserAdmin } from '../../src/store/user-admin.js'
import { createSync, type Sync } from '../../src/reevaluation/scheduler.js'
import { freshDatabase, stopPostgres } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'

t.teardown(stopPostgres)

const TENANT = '11111111-1111-4111-8111-111111111111'
const OTHER_TENANT = '22222222-2222-4222-8222-222222222222'
const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000]
const PACE = { spanMs: 270 * SECOND, everyMs: 15 * SECOND, staleMs: [HOUR, 24 * HOUR], late: true }
const STALE = { privilegedMs: HOUR, maxMs: 24 * HOUR, unaskedMs: undefined }
const NO_GRANTS = { groups: [], missing: [], staff: [], superuser: [] }
const ENABLED: Standing = { kind: 'enabled', groupIds: [], sessionsValidFrom: null }

interface Scene {
  readonly url: string
  readonly query: Query
  readonly database: Database
  readonly store: SyncStore
}

async function scene(t: Test, timeoutMs?: number): Promise<Scene> {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ url, poolSize: 20, ...(timeoutMs === undefined ? {} : { timeoutMs }) })
  t.teardown(() => database.close())
  return {
    url,
    database,
    query: await connect(t, url),
    store: createSyncStore(database, {
      tenantId: TENANT,
      idleTimeoutMs: 8 * HOUR,
      absoluteTimeoutMs: 48 * HOUR,
      privilegedTimeoutMs: undefined,
    }),
  }
}

/** With a live session; read and asked about in vain so long ago, missing for so long. */
async function somebody(
  { query }: Scene,
  name: string,
  { readMs = 0, triedMs, missingMs, tid = TENANT }: {
    readMs?: number
    triedMs?: number
    missingMs?: number
    tid?: string
  } = {},
): Promise<SyncPerson> {
  const [row] = await query<{ userId: string, username: string, oid: string }>(
    `
    with u as (insert into users (username, username_key, is_staff, is_superuser) values ($1, $1, true, true) returning
      id),
    i as (insert into identities (tid, oid, user_id) select $2, gen_random_uuid(), id from u returning oid),
    s as (insert into sessions (id_hash, public_id, user_id, created_at) select decode(md5($1), 'hex'), 'ses_' || $1,
      id, now() - interval '25 hours' from u),
    r as (insert into entra_readings (user_id, group_ids, read_at) select id, '{}', now() - $3 * interval
      '1 millisecond' from u)
    select u.id as "userId", $1 as username, i.oid::text as oid from u, i`,
    [name, tid, readMs],
  )
  if (!row) throw new Error('nobody')
  if (triedMs !== undefined) {
    await query(
      "insert into entra_checks values ($1, now() - $2 * interval '1 millisecond', now() - $3::float8 * interval '1 " +
        "millisecond')",
      [row.userId, triedMs, missingMs ?? null],
    )
  }
  return row
}

const names = (people: readonly SyncPerson[]) => people.map(({ username }) => username).sort()
const readingAt = (readAt: string): SyncReading => ({ readAt, correlationId: 'c0ffee00-0000-4000-8000-000000000000' })
const later = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString()

/** Turns by hand. */
async function syncOn(
  t: Test,
  { store }: Pick<Scene, 'store'>,
  read: (oids: readonly string[]) => Promise<ReadonlyMap<string, Standing>>,
): Promise<{ sync: Sync, counts: Map<string, number> }> {
  const counts = new Map<string, number>()
  const nothing = (): void => {}
  let begun = false
  const sync = createSync({
    store: { ...store, due: async (pace) => begun ? await store.due(pace) : [] },
    source: { batch: 10, read },
    leadership: { held: async () => true, release: async () => {} },
    pace: { intervalMs: 300 * SECOND, privilegedStalenessMs: HOUR, maxStalenessMs: 24 * HOUR },
    mapping: () => ({
      settings: {
        mapping: { evaluate: () => ({ groups: new Map(), staff: [], superuser: [] }), namesOf: () => [] } as never,
      },
      requireMappedGroup: false,
    }),
    lookups: { groupIds: async () => new Map() },
    report: {
      changed: nothing,
      ended: nothing,
      privilegesDropped: nothing,
      takenBack: nothing,
      failing: nothing,
      broken: (error) => {
        t.error(error)
      },
      recovered: nothing,
      groupMissing: nothing,
      counted: (result, people) => counts.set(result, (counts.get(result) ?? 0) + people),
    },
    graceMs: 0,
  })
  t.teardown(() => sync.close())
  await sleep(5)
  await sync.pass()
  begun = true
  return { sync, counts }
}

t.test('whoever failed is asked again after one turn, then two, four, and at last once in an interval', async (t) => {
  const scenery = await scene(t)
  const span = 270 * SECOND
  const cases = {
    'fresh': [{ readMs: span - 10 * SECOND }, false],
    'late': [{ readMs: span + SECOND }, true],
    'failed once, a moment ago': [{ readMs: span + 20 * SECOND, triedMs: 10 * SECOND }, false],
    'failed once, a turn ago': [{ readMs: span + 20 * SECOND, triedMs: 16 * SECOND }, true],
    'failed for a minute, half a minute ago': [{ readMs: span + 90 * SECOND, triedMs: 30 * SECOND }, false],
    'failed for a minute, a minute ago': [{ readMs: span + 121 * SECOND, triedMs: 61 * SECOND }, true],
    'failed for half an hour, four minutes ago': [{ readMs: 30 * MINUTE, triedMs: 4 * MINUTE }, false],
    'failed for half an hour, an interval ago': [{ readMs: 30 * MINUTE, triedMs: span + SECOND }, true],
    'too old since a moment, not asked about since': [{ readMs: HOUR + SECOND, triedMs: 2 * MINUTE }, true],
    'too old since a moment, and asked about since': [{ readMs: HOUR + 10 * SECOND, triedMs: 5 * SECOND }, false],
    'missing for fifty seconds': [{ readMs: span + SECOND, triedMs: 50 * SECOND, missingMs: 50 * SECOND }, false],
    'missing for a minute': [{ readMs: span + SECOND, triedMs: 61 * SECOND, missingMs: 61 * SECOND }, true],
    'of another tenant': [{ readMs: HOUR, tid: OTHER_TENANT }, false],
  } as const
  for (const [name, [state]] of Object.entries(cases)) await somebody(scenery, name, state)
  const wanted = Object.entries(cases).filter(([, [, due]]) => due).map(([name]) => name).sort()
  t.strictSame(names(await scenery.store.due(PACE)), wanted)
  t.ok(
    names(await scenery.store.due({ ...PACE, spanMs: 27 * SECOND })).includes('missing for fifty seconds'),
    'in a short interval the second question comes sooner',
  )
  t.match(await scenery.store.overview(), { lagMs: Number, unanswered: 8 }, 'missing is an answer')
})

t.test('sessions and flags are taken from whoever was asked about in vain since they became too old', async (t) => {
  const scenery = await scene(t)
  const { store, query } = scenery
  await somebody(scenery, 'fresh', { readMs: 23 * HOUR })
  await somebody(scenery, 'not asked about since', { readMs: 25 * HOUR })
  await somebody(scenery, 'asked about before', { readMs: 25 * HOUR, triedMs: 24.5 * HOUR })
  await somebody(scenery, 'asked about in vain', { readMs: 25 * HOUR, triedMs: SECOND })
  await somebody(scenery, 'of another tenant', { readMs: 25 * HOUR, tid: OTHER_TENANT })
  await query("insert into users (username, username_key, is_superuser) values ('local', 'local', true)")
  await query(
    "insert into sessions (id_hash, public_id, user_id) select '\\x00', 'ses_local', id from users where username = " +
      "'local'",
  )
  t.ok((await store.overview()).lagMs >= 25 * HOUR)
  const first = await store.expire(STALE)
  t.strictSame([names(first.privileges), names(first.sessions)], [['asked about in vain'], ['asked about in vain']])
  t.strictSame(first.sessions[0]?.sessions, ['ses_asked about in vain'])
  t.strictSame(await store.expire(STALE), { privileges: [], sessions: [] })
  const unasked = ['asked about before', 'not asked about since', 'of another tenant']
  const sooner = await store.expire({ ...STALE, unaskedMs: 22.5 * HOUR })
  t.strictSame(
    [names(sooner.privileges), names(sooner.sessions)],
    [unasked, []],
    'nobody asked about these for so long',
  )
  t.strictSame(names((await store.expire({ ...STALE, unaskedMs: 10 * MINUTE })).sessions), unasked)
  t.match(await query("select is_superuser from users where username = 'local'"), [{ is_superuser: true }])
})

t.test('what is taken is judged again under the lock, and whom somebody else has locked is left', async (t) => {
  const scenery = await scene(t)
  const { database, query, url } = scenery
  const person = await somebody(scenery, 'signs in', { readMs: 25 * HOUR, triedMs: SECOND })
  /** Something happens between the statement that locks and the one that takes. */
  const between = (happens: () => Promise<unknown>): Database => ({
    ...database,
    transaction: (work) =>
      database.transaction((tx) => {
        let statements = 0
        return work(
          new Proxy(tx, {
            get: (of, name) =>
              name !== 'execute' ? Reflect.get(of, name) as unknown : async (statement: never) => {
                const result = await of.execute(statement)
                if (statements++ === 0) await happens()
                return result
              },
          }),
        )
      }),
  })
  const store = createSyncStore(between(() => query('update entra_readings set read_at = now()')), {
    tenantId: TENANT,
    idleTimeoutMs: 8 * HOUR,
    absoluteTimeoutMs: 48 * HOUR,
    privilegedTimeoutMs: undefined,
  })
  t.strictSame(await store.expire(STALE), { privileges: [], sessions: [] })
  await query("update entra_readings set read_at = now() - interval '25 hours'")
  const other = await connect(t, url)
  await other('begin')
  await other('select 1 from users where id = $1 for update', [person.userId])
  t.strictSame(await scenery.store.expire(STALE), { privileges: [], sessions: [] })
  await other('rollback')
  t.equal((await scenery.store.expire(STALE)).sessions.length, 1)
})

t.test('an answer that came after a newer one', async (t) => {
  const scenery = await scene(t)
  const { store, query } = scenery
  const person = await somebody(scenery, 'slow', { readMs: 0 })
  const old = readingAt(later(await store.now(), -MINUTE))
  t.equal(await store.disabled(person, old), undefined)
  t.equal(await store.missing(person, old), undefined)
  t.match(
    await store.apply(person, old, {
      grants: NO_GRANTS,
      groupIds: [],
      sessionsValidFrom: null,
      requireMappedGroup: false,
    }),
    { superseded: true },
  )
  t.strictSame([await query('select * from entra_checks'), (await query('select * from sessions')).length], [[], 1])
  t.strictSame(await store.disabled(person, readingAt(later(await store.now(), SECOND))), ['ses_slow'])
})

t.test('missing counts from the first answer on, for a minute and not for less', async (t) => {
  const scenery = await scene(t)
  const { store } = scenery
  const person = await somebody(scenery, 'gone', { readMs: HOUR })
  const now = await store.now()
  t.equal(await store.missing(person, readingAt(now)), undefined)
  t.equal(await store.missing(person, readingAt(later(now, 59 * SECOND))), undefined, '59 seconds')
  t.strictSame(await store.missing(person, readingAt(later(now, 61 * SECOND))), ['ses_gone'])
})

t.test('somebody who is removed, or a group, while they are asked about', async (t) => {
  const scenery = await scene(t)
  const { store, url, database, query } = scenery
  const person = await somebody(scenery, 'removed', { readMs: HOUR })
  const grants = { ...NO_GRANTS, groups: [{ id: '33333333-3333-4333-8333-333333333333', name: 'Gone', causes: [] }] }
  const reading = readingAt(await store.now())
  t.equal(
    await store.apply(person, reading, { grants, groupIds: [], sessionsValidFrom: null, requireMappedGroup: false }),
    'outdated',
  )
  const other = await connect(t, url)
  await other('begin')
  await other('delete from users where id = $1', [person.userId])
  const waiting = [store.missing(person, reading), store.disabled(person, reading), store.failed([person])]
  await sleep(100) // at the lock
  await other('commit')
  t.strictSame(await Promise.all(waiting), [undefined, undefined, undefined])
  t.equal(await store.missing(person, reading), undefined)
  t.equal(
    await store.apply(person, reading, {
      grants: NO_GRANTS,
      groupIds: [],
      sessionsValidFrom: null,
      requireMappedGroup: false,
    }),
    undefined,
  )

  await somebody(scenery, 'erased', { readMs: 10 * MINUTE })
  await somebody(scenery, 'deactivated', { readMs: 10 * MINUTE })
  await somebody(scenery, 'missing', { readMs: 10 * MINUTE })
  await somebody(scenery, 'stays', { readMs: 10 * MINUTE })
  const admin = createUserAdmin(database)
  const idOf = async (name: string) => String((await query('select id from users where username = $1', [name]))[0]?.id)
  const { sync, counts } = await syncOn(t, scenery, async (oids) => {
    const missing = await query<{ oid: string }>(
      "select oid::text from identities i join users u on u.id = i.user_id where username = 'missing'",
    )
    for (const name of ['erased', 'missing']) await admin.remove(await idOf(name), 'test')
    await admin.setActive(await idOf('deactivated'), false, 'test')
    return new Map(oids.map((oid) => [oid, missing.some((row) => row.oid === oid) ? { kind: 'missing' } : ENABLED]))
  })
  await sync.pass()
  t.strictSame([sync.state().failing, Object.fromEntries(counts)], [undefined, {
    unchanged: 1,
    changed: 2,
    missing: 1,
  }])
  t.match(await query('select username, is_active from users order by 1'), [{
    username: 'deactivated',
    is_active: false,
  }, { username: 'stays', is_active: true }])
  t.equal((await query('select * from sessions')).length, 1)
})

t.test('a row that somebody keeps locked holds nobody else up', async (t) => {
  const scenery = await scene(t, 1_000)
  const locked = await somebody(scenery, 'locked', { readMs: 10 * MINUTE })
  for (const name of ['a', 'b', 'c']) await somebody(scenery, name, { readMs: 10 * MINUTE })
  const other = await connect(t, scenery.url)
  await other('begin')
  await other('select 1 from users where id = $1 for update', [locked.userId])
  const { sync, counts } = await syncOn(t, scenery, async (oids) => new Map(oids.map((oid) => [oid, ENABLED])))
  await sync.pass()
  t.strictSame([counts.get('changed'), counts.get('failed'), sync.state().failing], [3, 1, 'database_unavailable'])
  await other('commit')
  await sync.pass()
  t.equal(counts.get('changed'), 4)
  t.equal(sync.state().failing, undefined)
})

t.test('after a long time down everybody is asked before anything is taken, also thousands', async (t) => {
  const scenery = await scene(t)
  const { query } = scenery
  await query(`
    with u as (insert into users (username, username_key) select 'p' || n, 'p' || n from generate_series(1, 2100) n
      returning id),
    i as (insert into identities (tid, oid, user_id) select '${TENANT}', gen_random_uuid(), id from u),
    s as (insert into sessions (id_hash, public_id, user_id, created_at) select decode(md5(id::text), 'hex'), 'ses_' ||
      id, id, now() - interval '26 hours' from u),
    c as (insert into entra_checks (user_id, tried_at) select id, now() - interval '24.5 hours' from u)
    insert into entra_readings (user_id, group_ids, read_at) select id, '{}', now() - interval '25 hours' from u`)
  const { sync, counts } = await syncOn(t, scenery, async (oids) => new Map(oids.map((oid) => [oid, ENABLED])))
  while ((await query("select 1 from entra_readings where read_at < now() - interval '1 hour' limit 1")).length > 0) {
    await sync.pass()
  }
  t.strictSame(Object.fromEntries(counts), { unchanged: 2_100 })
  t.equal((await query('select * from sessions')).length, 2_100)
})
