// The counts of all replicas in the database: written once and added, whatever fails in between; a partition for each
// day; and read as series.
import t, { type Test } from 'tap'
import type { ActivityRow } from '../../src/core/activity-hours.js'
import { GatehouseError } from '../../src/core/errors.js'
import { createLifecycle } from '../../src/lifecycle.js'
import { openActivity } from '../../src/store/activity.js'
import { dropActivityDays, makeActivityDays } from '../../src/store/activity-days.js'
import { createActivityReader } from '../../src/store/activity-reader.js'
import { writeActivity, writeRulesInForce, writeSuperusers } from '../../src/store/activity-rows.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const REPLICA = '00000000-0000-4000-8000-000000000001'
const RANGE = { bucket: 'hour', range: 2 * HOUR } as const

async function open(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 5 })
  t.teardown(() => database.close())
  return { database, query: await connect(t, url), reader: createActivityReader(database) }
}

/** A replica as a process opens it. */
function openReplica(database: Database, options: { now?: () => number, enabled?: boolean } = {}) {
  const warnings: string[] = []
  const log = {
    warn: (_: object, text: string) => {
      warnings.push(text)
    },
    error: () => {},
  }
  const lifecycle = createLifecycle(log)
  const activity = openActivity({ database, enabled: true, own: lifecycle.own, log, ...options })
  return { ...activity, close: lifecycle.close, warnings }
}

/** A database whose next statements fail: before they are executed, or after. */
function failing(database: Database) {
  const state: { fail: 'before' | 'after' | 'never' } = { fail: 'never' }
  const broken = async <T>(work: () => Promise<T>): Promise<T> => {
    if (state.fail === 'before') throw new GatehouseError('database_unavailable')
    const result = await work()
    if (state.fail === 'after') throw new GatehouseError('database_unavailable')
    return result
  }
  const through: Database = {
    ...database,
    ask: (work) => broken(() => database.ask(work)),
    transaction: (work) => broken(() => database.transaction(work)),
  }
  return { state, database: through }
}

const row = (change: Partial<ActivityRow> = {}): ActivityRow => ({
  hour: new Date(Math.floor(Date.now() / HOUR) * HOUR),
  kind: 'answer',
  key: 'allowed',
  count: 3,
  minutes: [3],
  ...change,
})

t.test('counts of several replicas are added, minute after minute', async (t) => {
  const { database, reader } = await open(t)
  const replicas = [openReplica(database), openReplica(database)]
  t.teardown(() => Promise.all(replicas.map(({ close }) => close())))
  for (let minute = 1; minute <= 3; minute++) {
    for (const { counters } of replicas) for (let at = 0; at < minute; at++) counters.signIn('ok')
    await Promise.all(replicas.map(({ flush }) => flush()))
    await Promise.all(replicas.map(({ flush }) => flush()))
  }
  t.match(await reader.series({ kind: 'sign_in', ...RANGE }), { series: [{ key: 'completed', total: 12 }] })
  t.match(await reader.series({ kind: 'sign_in', bucket: 'minute', range: HOUR }), {
    series: [{ key: 'completed', total: 12 }],
  })
  t.strictSame((await reader.series({ kind: 'answer', ...RANGE })).series, [])
})

t.test('a flush that failed is repeated with what came after it', async (t) => {
  const opened = await open(t)
  const { state, database } = failing(opened.database)
  const { counters, flush, close, warnings } = openReplica(database)
  t.teardown(() => close())
  const total = async () => (await opened.reader.series({ kind: 'sign_in', ...RANGE })).series[0]?.total
  state.fail = 'before'
  counters.signIn('ok')
  await t.rejects(flush(), { code: 'database_unavailable' })
  state.fail = 'never'
  counters.signIn('ok')
  await flush()
  t.equal(await total(), 2)
  state.fail = 'after'
  counters.signIn('ok')
  await t.rejects(flush(), { code: 'database_unavailable' })
  t.equal(await total(), 3, 'written, and the answer was lost')
  state.fail = 'never'
  await flush()
  t.equal(await total(), 3, 'not counted twice')
  t.strictSame(warnings, [])
})

// proves: admin-activity-repeated
t.test('a row that arrives late does not replace a later one', async (t) => {
  const { database, reader } = await open(t)
  await makeActivityDays(database)
  for (const count of [3, 5, 5, 3]) await writeActivity(database, REPLICA, [row({ count, minutes: [count] })])
  await writeActivity(database, REPLICA.replace('1', '2'), [row({ count: 10, minutes: [10] })])
  t.match(await reader.series({ kind: 'answer', ...RANGE }), { series: [{ key: 'allowed', total: 15 }] })
})

t.test('more rows than one statement takes are written', async (t) => {
  const { database, reader } = await open(t)
  await makeActivityDays(database)
  const rows = Array.from({ length: 2_500 }, (_, index) => row({ key: `key-${index}` }))
  await writeActivity(database, REPLICA, rows)
  t.equal((await reader.series({ kind: 'answer', ...RANGE })).series.length, 2_500)
})

t.test('minutes are those of the database, also where the clock of the replica is wrong', async (t) => {
  const { database, reader, query } = await open(t)
  let clock = Date.UTC(2001, 1, 1)
  const { counters, flush, close } = openReplica(database, { now: () => clock })
  t.teardown(() => close())
  await flush()
  clock += 60_000
  counters.signIn('ok')
  await flush()
  const range = { since: new Date(Date.now() - HOUR), until: new Date(Date.now() + HOUR) }
  const { buckets, series: [own] } = await reader.series({ kind: 'sign_in', bucket: 'minute', range })
  const at = buckets[own?.counts.indexOf(1) ?? -1]
  const [time] = await query<{ now: Date }>('select now() as now')
  t.ok(Math.abs((at?.getTime() ?? 0) - (time?.now.getTime() ?? 0)) < 3 * 60_000, String(at))
})

t.test('the shutdown writes what is there, and waits for no database that hangs', async (t) => {
  const opened = await open(t)
  const first = openReplica(opened.database)
  first.counters.signIn('ok')
  await first.close()
  t.match(await opened.reader.series({ kind: 'sign_in', ...RANGE }), { series: [{ key: 'completed', total: 1 }] })
  const second = openReplica({ ...opened.database, ask: () => new Promise(() => {}) })
  second.counters.signIn('ok')
  const began = performance.now()
  await second.close()
  t.ok(performance.now() - began < 4_000, `${performance.now() - began} ms`)
})

// proves: admin-activity-off
t.test('without the console nothing is counted and nothing written', async (t) => {
  const { database, query } = await open(t)
  const { counters, flush, close } = openReplica(database, { enabled: false })
  counters.signIn('ok')
  await flush()
  await close()
  t.strictSame(counters.take(), [])
  t.strictSame(await query("select from pg_inherits where inhparent = 'activity_counts'::regclass"), [])
})

// proves: admin-activity-days-once
t.test('partitions are made ahead, by whichever replica is first, and dropped after a month', async (t) => {
  const { database, query, reader } = await open(t)
  const made = await Promise.allSettled([1, 2, 3, 4].map(() => makeActivityDays(database)))
  t.strictSame(made.map(({ status }) => status), made.map(() => 'fulfilled'))
  const names = async () =>
    (await query<{ name: string }>(`select inhrelid::regclass::text as name from pg_inherits
      where inhparent = 'activity_counts'::regclass order by 1`)).map(({ name }) => name)
  const day = (ahead: number) =>
    `activity_counts_${new Date(Date.now() + ahead * DAY).toISOString().slice(0, 10).replaceAll('-', '_')}`
  t.strictSame(await names(), [-1, 0, 1, 2].map(day))
  t.strictSame(made.flatMap((each) => each.status === 'fulfilled' ? each.value : []).sort(), await names())
  for (const [name, since, until] of [[day(-31), -31, -30], [day(-32), -32, -31], [day(-400), -400, -399]] as const) {
    await query(`create table ${name} partition of activity_counts for values
      from ('${new Date(Date.now() + since * DAY).toISOString().slice(0, 10)}Z')
      to ('${new Date(Date.now() + until * DAY).toISOString().slice(0, 10)}Z')`)
  }
  await writeActivity(database, REPLICA, [row({ hour: new Date(Date.now() - 31 * DAY) }), row()])
  t.strictSame(await dropActivityDays(database), [day(-400), day(-32)])
  t.strictSame(await names(), [-31, -1, 0, 1, 2].map(day))
  t.match(await reader.series({ kind: 'answer', bucket: 'day', range: 32 * DAY }), { series: [{ total: 6 }] })
})

t.test('a partition that a failover has lost is made again', async (t) => {
  const { database, query, reader } = await open(t)
  const { counters, flush, close } = openReplica(database)
  t.teardown(() => close())
  await flush()
  await query('drop table activity_counts')
  await query(`create table activity_counts (hour timestamptz not null, kind text not null, key text not null,
    replica uuid not null, count bigint not null, minutes integer[] not null, primary key (kind, hour, key, replica))
    partition by range (hour)`)
  counters.signIn('ok')
  await t.rejects(flush())
  await flush()
  t.match(await reader.series({ kind: 'sign_in', ...RANGE }), { series: [{ key: 'completed', total: 1 }] })
})

t.test('superusers and staff are counted once in an hour', async (t) => {
  const { database, query, reader } = await open(t)
  await makeActivityDays(database)
  const user = (name: string, flags: string) =>
    query(`insert into users (username, username_key, is_active, is_staff, is_superuser)
      values ('${name}', '${name}', ${flags})`)
  await user('a', 'true, true, true')
  await user('b', 'true, true, false')
  await user('c', 'false, true, true')
  await Promise.all([writeSuperusers(database), writeSuperusers(database)])
  await user('d', 'true, true, true')
  await writeSuperusers(database)
  await query("update activity_counts set hour = hour - interval '1 hour'")
  await writeSuperusers(database)
  const { series } = await reader.series({ kind: 'superusers', bucket: 'hour', range: 3 * HOUR })
  t.strictSame(series.map(({ key, counts, total }) => [key, counts.slice(-3), total]), [
    ['staff', [null, 2, 3], 3],
    ['superusers', [null, 1, 2], 2],
  ])
  const days = await reader.series({ kind: 'superusers', bucket: 'day', range: HOUR })
  t.strictSame(days.series.map(({ counts }) => counts.at(-1)), [3, 2], 'of a day the largest')
})

// proves: admin-activity-range
t.test('a series has every bucket of its range, and no more than the limit', async (t) => {
  const { database, reader } = await open(t)
  await makeActivityDays(database)
  const hour = new Date(Math.floor(Date.now() / HOUR) * HOUR - HOUR)
  const minutes = Array.from({ length: 60 }, (_, minute) => minute === 7 ? 2 : minute === 59 ? 1 : 0)
  await writeActivity(database, REPLICA, [
    row({ hour, count: 3, minutes }),
    row({ hour, key: 'not_allowed', count: 9, minutes: [9] }),
  ])
  const range = { since: new Date(hour.getTime() + 7 * 60_000), until: new Date(hour.getTime() + 3 * HOUR) }
  const byMinute = await reader.series({ kind: 'answer', bucket: 'minute', range })
  t.equal(byMinute.buckets.length, 173)
  t.strictSame(byMinute.buckets[0], range.since)
  t.strictSame(byMinute.series.map(({ key, total }) => [key, total]), [['allowed', 3]])
  t.strictSame([0, 1, 52].map((index) => byMinute.series[0]?.counts[index]), [2, 0, 1])
  const byHour = await reader.series({ kind: 'answer', bucket: 'hour', range })
  t.strictSame(byHour.buckets, [0, 1, 2].map((after) => new Date(hour.getTime() + after * HOUR)))
  t.strictSame(byHour.series, [
    { key: 'not_allowed', counts: [9, 0, 0], total: 9 },
    { key: 'allowed', counts: [3, 0, 0], total: 3 },
  ])
  const long = await reader.series({ kind: 'answer', bucket: 'minute', range: 31 * DAY })
  t.equal(long.buckets.length, 1_500)
  t.ok((long.buckets.at(-1)?.getTime() ?? 0) > Date.now() - 120_000, 'the last ones')
})

t.test('the hits of each rule in a day, a week and a month, and the last one', async (t) => {
  const { database, query, reader } = await open(t)
  await query(`create table activity_counts_before partition of activity_counts for values from (minvalue)
    to ('${new Date(Date.now() + DAY).toISOString()}')`)
  const at = (age: number) => new Date(Math.floor((Date.now() - age) / HOUR) * HOUR)
  const minutes = (...hit: number[]) => Array.from({ length: 60 }, (_, minute) => hit.includes(minute) ? 1 : 0)
  const rule = (key: string, age: number, ...hit: number[]): ActivityRow =>
    row({ kind: 'rule', key, hour: at(age), count: hit.length, minutes: minutes(...hit) })
  await writeActivity(database, REPLICA, [
    rule('a', HOUR, 3, 5),
    rule('a', 2 * DAY, 59),
    rule('a', 8 * DAY, 1, 2, 3),
    rule('b', 29 * DAY, 0),
    rule('c', 30 * DAY + 2 * HOUR, 0),
    { ...rule('a', HOUR, 1, 2), kind: 'shadow_refused' },
    { ...rule('b', 2 * DAY, 1), kind: 'shadow_let_in' },
    { ...rule('d', 31 * DAY, 1), kind: 'shadow_let_in' },
    row({ key: 'a' }),
  ])
  await writeActivity(database, REPLICA.replace('1', '2'), [rule('a', HOUR, 9)])
  const none = { day: 0, week: 0, month: 0 }
  const more = { refused: none, letIn: none }
  t.strictSame(await reader.ruleHits(), [
    {
      key: 'a',
      day: 3,
      week: 4,
      month: 7,
      lastHit: new Date(at(HOUR).getTime() + 9 * 60_000),
      ...more,
      refused: { day: 2, week: 2, month: 2 },
      countedForMonth: false,
    },
    {
      key: 'b',
      day: 0,
      week: 0,
      month: 1,
      lastHit: at(29 * DAY),
      ...more,
      letIn: { day: 0, week: 1, month: 1 },
      countedForMonth: false,
    },
    { key: 'c', ...none, lastHit: undefined, ...more, countedForMonth: true },
  ])
})

t.test('which rules are in force is noted once a day, so that one without a hit is known to be counted', async (t) => {
  const { database, query, reader } = await open(t)
  await makeActivityDays(database)
  await writeRulesInForce(database, ['a', 'b'])
  await writeRulesInForce(database, ['b', 'c'])
  await writeRulesInForce(database, ['a', 'b', 'c'])
  const noted = async () =>
    await query("select key, count, minutes from activity_counts where kind = 'rule' order by key")
  t.strictSame(await noted(), ['a', 'b', 'c'].map((key) => ({ key, count: '0', minutes: [] })))
  t.strictSame(await reader.ruleHits(), [], 'they have no hits')
})

t.test('each configuration that comes into force is noted', async (t) => {
  const { database, query } = await open(t)
  const activity = openReplica(database)
  t.teardown(activity.close)
  const noted = async () => await query("select key from activity_counts where kind = 'rule'")
  activity.counters.rules(['a'])
  await activity.flush()
  t.equal((await noted()).length, 1)
  activity.counters.rules(['a', 'b'])
  await activity.flush()
  await activity.flush()
  t.equal((await noted()).length, 2)
})
