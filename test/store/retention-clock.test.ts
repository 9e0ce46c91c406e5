// What expires by age is deleted for good: a clock of the database that jumps by months, and back, deletes no audit
// row.
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/store/database.js'
import { createHousekeeping } from '../../src/store/housekeeping.js'
import { migrate } from '../../src/store/migrate.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const SESSION = { idleTimeoutMs: HOUR, absoluteTimeoutMs: DAY, privilegedTimeoutMs: undefined }

interface Scene {
  /** The clock of the database, from now on. */
  shift(interval: string): Promise<void>
  /** Time that this process has seen pass; `jumpMs`: its own clock was set too. */
  pass(ms: number, jumpMs?: number): void
  note(interval: string): Promise<void>
  /** One run of the housekeeping. @returns what is kept */
  run(): Promise<{ readonly rows: number, readonly months: number, readonly days: number, readonly tokens: number }>
  /** A replica that has just started. */
  restart(): void
  readonly logged: readonly string[]
}

/** Functions before pg_catalog replace those of PostgreSQL; defaults of columns keep the real clock. */
async function open(t: Test, retentionMs = 100 * DAY): Promise<Scene> {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await query(`create schema fake; create table fake.clock (ahead interval); insert into fake.clock values ('0');
    create function fake.now() returns timestamptz stable language sql as
      'select pg_catalog.now() + ahead from fake.clock';
    create function fake.clock_timestamp() returns timestamptz volatile language sql as
      'select pg_catalog.clock_timestamp() + ahead from fake.clock';
    alter database ${new URL(url).pathname.slice(1)} set search_path = fake, pg_catalog, public`)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  await query(`insert into users (username, username_key) values ('sam', 'sam');
    insert into tokens (id, kind, hash, owner_id, name, scopes, created_by, expires_at)
      select 'tok_000000000001', 'admin', sha256('x'), id, 'n', '{}', 'test', now() + interval '30 days' from users;
    create table activity_counts_2001_02_03 partition of activity_counts
      for values from ('2001-02-03') to ('2001-02-04')`)
  const logged: string[] = []
  const keep = (_: object, text: string): void => {
    logged.push(text)
  }
  let [wall, monotonic] = [0, 0]
  const start = () =>
    createHousekeeping(database, { session: SESSION, audit: { retentionMs } }, {
      log: { info: keep, warn: keep },
      wall: () => Date.now() + wall,
      monotonic: () => performance.now() + monotonic,
    })
  let housekeeping = start()
  return {
    logged,
    async shift(interval) {
      await query(`update fake.clock set ahead = ahead + interval '${interval}'`)
    },
    pass(ms, jumpMs = 0) {
      wall += ms + jumpMs
      monotonic += ms
    },
    async note(interval) {
      await query(`insert into audit_events (action, actor, at)
        select 'x', 'test', pg_catalog.now() + interval '${interval}'`)
    },
    restart() {
      housekeeping = start()
    },
    async run() {
      await housekeeping()
      const [row] = await query<{ rows: number, months: number, days: number, tokens: number }>(`
        select (select count(*)::int from audit_events) as rows, (select count(*)::int from tokens) as tokens,
          (select count(*)::int from pg_class where relkind = 'r' and relname ~ '^audit_events_2') as months,
          (select count(*)::int from pg_class where relkind = 'r' and relname = 'activity_counts_2001_02_03') as days`)
      return row ?? { rows: 0, months: 0, days: 0, tokens: 0 }
    },
  }
}

// proves: audit-clock-agrees
t.test('a clock of the database alone that jumps by a year deletes nothing, however long it is wrong', async (t) => {
  const { run, shift, note, pass, restart, logged } = await open(t)
  for (const at of ['-2 days', '0 days']) await note(at)
  t.match(await run(), { rows: 2, months: 3, days: 0, tokens: 1 }, 'the clocks agree: what expired is dropped')
  await shift('1 year')
  t.match(await run(), { rows: 2, months: 7, tokens: 1 }, 'months are made for the rows that are written now')
  await note('1 year -2 days') // written with the wrong clock
  for (const _ of [1, 2, 3]) {
    await shift('2 days')
    pass(2 * DAY)
    t.match(await run(), { rows: 3, tokens: 1 })
  }
  restart()
  t.match(await run(), { rows: 3, tokens: 1 }, 'also after a restart')
  t.same(logged.filter((text) => text.includes('differs')).length, 2, 'it is logged once by each process')
  await shift('-1 year')
  t.match(await run(), { rows: 3, tokens: 1 }, 'and back')
  await note('4 days') // two days ago by the clock that is right again
  t.match(await run(), { rows: 4, tokens: 1 })
  t.match(logged.at(-1), /is confirmed/)
})

// proves: audit-clock-known, audit-clock-steady, audit-clock-rows, audit-clock-months
t.test('a clock that jumps for both counts after a steady day, and until then it can be set right', async (t) => {
  const { run, shift, note, pass, logged } = await open(t)
  for (const at of ['-30 hours', '0 days']) await note(at)
  await shift('1 second')
  t.match(await run(), { rows: 2, months: 3, tokens: 1 })
  pass(30 * HOUR)
  await shift('30 hours')
  await run()
  await shift('1 year')
  pass(0, 365 * DAY)
  t.match(await run(), { rows: 2, months: 7, tokens: 1 })
  t.match(logged, [/has jumped: no audit rows are deleted/])
  pass(23 * HOUR)
  await shift('23 hours')
  t.match(await run(), { rows: 2, tokens: 1 })
  await shift('-1 year')
  pass(0, -365 * DAY)
  t.match(await run(), { rows: 2, tokens: 1 }, 'it was set right: nothing is lost')

  await shift('1 year')
  pass(0, 365 * DAY)
  await run()
  pass(25 * HOUR)
  await shift('25 hours')
  t.match(await run(), { rows: 0, tokens: 0 }, 'steady for a day: it is right')
})

// proves: audit-clock-yesterday, audit-clock-days
t.test('a start with a clock that is a year ahead deletes nothing that the audit does not confirm', async (t) => {
  const { run, shift, note, pass, restart } = await open(t, 10 * DAY)
  await note('-30 hours')
  await shift('1 year')
  pass(0, 365 * DAY)
  t.match(await run(), { rows: 1, days: 1, tokens: 1 })
  await note('1 year')
  restart()
  t.match(await run(), { rows: 2, days: 1, tokens: 1 }, 'rows of the wrong clock count after a day')
  await note('1 year -25 hours')
  restart()
  t.match(await run(), { rows: 2, days: 0, tokens: 0 })
})
