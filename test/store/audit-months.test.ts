// The record by months: rows of before stay, months are made in advance and dropped when they are past the retention,
// no insert ever fails, and the statements of version 0.2.0 work as before.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { keepAuditMonths } from '../../src/store/audit-months.js'
import { listAudit } from '../../src/store/audit-list.js'
import { createAuditSealer } from '../../src/store/audit-seals.js'
import { verifyAudit } from '../../src/store/audit-verification.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { sweep } from '../../src/store/sweep.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 7_200_000, privilegedTimeoutMs: undefined }
const DAY = 86_400_000
const YEAR = { ...TIMEOUTS, retentionMs: 365 * DAY, isClockConfirmed: true, isExported: false }

async function open(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 3 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  const note = (at: string, action = 'x') =>
    query(`insert into audit_events (action, actor, at) values ('${action}', 'test', ${at})`)
  return { url, database, query, note }
}

/** Each partition with its rows. */
async function partitions(query: Query): Promise<Record<string, number>> {
  const rows = await query<{ name: string, count: number }>(`
    select inhrelid::regclass::text as name,
      (select count(*)::int from audit_events where tableoid = inhrelid) as count
    from pg_inherits where inhparent = 'audit_events'::regclass order by 1`)
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]))
}

/** The first moment of the month so many months from now, as SQL. */
const month = (ahead: number) =>
  `((date_trunc('month', now() at time zone 'UTC') + interval '${ahead} months') at time zone 'UTC')`

async function nameOf(query: Query, ahead: number): Promise<string> {
  const [row] = await query<{ name: string }>(
    `select to_char(${month(ahead)} at time zone 'UTC', '"audit_events_"YYYY_MM') as name`,
  )
  return row?.name ?? ''
}

t.test('rows of before the migration stay where they are, with their ids', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  const journal = JSON.parse(readFileSync('migrations/meta/_journal.json', 'utf8')) as { entries: { tag: string }[] }
  const files = journal.entries.map(({ tag }) => tag)
  const index = files.findIndex((tag) => tag.endsWith('_audit_months'))
  const run = async (names: readonly string[]) => {
    for (const name of names) await query(readFileSync(`migrations/${name}.sql`, 'utf8'))
  }
  await run(files.slice(0, index))
  await query(`insert into audit_events (action, actor, at, detail) select 'a' || n, 'test',
    now() + (n - 2000) * interval '7 hours', jsonb_build_object('n', n) from generate_series(1, 2100) n`)
  const before = await query('select * from audit_events order by id')
  await run(files.slice(index))
  const after = await query('select * from audit_events order by id')
  const unsealed = before.map((row) => ({ ...row, name_salt: null, name_commitment: null }))
  t.strictSame(after, unsealed, 'also those from beyond this month')
  t.strictSame(await partitions(query), { audit_events_before: 2_100, audit_events_default: 0 })
  const [row] = await query<{ id: string }>("insert into audit_events (action, actor) values ('b', 't') returning id")
  t.equal(Number(row?.id), 2_101)
})

t.test('months are made in advance, once, and rows go where they belong', async (t) => {
  const { database, query, note } = await open(t)
  const expected = [await nameOf(query, 1), await nameOf(query, 2), await nameOf(query, 3)]
  await note(month(1)) // while its month has no partition
  await note(`${month(2)} - interval '1 microsecond'`)
  await note(month(2))
  await note("now() - interval '10 years'")
  await note("now() + interval '10 years'")
  const runs = await Promise.allSettled([1, 2, 3].map(() => keepAuditMonths(database, YEAR)))
  t.strictSame(runs.map(({ status }) => status), ['fulfilled', 'fulfilled', 'fulfilled'])
  t.strictSame(await partitions(query), {
    [expected[0] ?? '']: 2,
    [expected[1] ?? '']: 1,
    [expected[2] ?? '']: 0,
    audit_events_before: 1,
    audit_events_default: 1,
  })
  await note(`${month(4)} - interval '1 microsecond'`)
  t.match(await partitions(query), { [expected[2] ?? '']: 1 })
  t.strictSame(await keepAuditMonths(database, YEAR), { made: [], dropped: [], kept: [] })
  t.equal((await listAudit(database, {})).rows.length, 6)
  const [plan] = await query<{ plans: string }>(`select string_agg(indexdef, E'\\n') as plans from pg_indexes
    where tablename = '${expected[0]}'`)
  for (const columns of ['(id)', '(at, id)', '(user_id, at, id)', '(action, at, id)']) {
    t.ok(plan?.plans.includes(columns), columns)
  }
})

// proves: audit-month-expired, audit-month-own
t.test('months past the retention are dropped, a short retention is kept to the row', async (t) => {
  const { database, query } = await open(t)
  const old = { soon: await nameOf(query, -13), boundary: await nameOf(query, -12), recent: await nameOf(query, -3) }
  await query('drop table audit_events_before') // as a year after the migration
  for (const [ahead, name] of [[-13, old.soon], [-12, old.boundary], [-3, old.recent]] as const) {
    await query(`create table ${name} partition of audit_events
      for values from ('${await text(query, month(ahead))}') to ('${await text(query, month(ahead + 1))}')`)
    await query(`insert into audit_events (action, actor, at)
      select 'x', 'test', ${month(ahead)} + n * interval '1 second' from generate_series(1, 100) n`)
  }
  const archive = 'audit_events_2001_archive'
  await query(`create table ${archive} partition of audit_events for values from ('2001-01-01') to ('2002-01-01')`)
  await query("insert into audit_events (action, actor, at) values ('x', 'test', '2001-06-01')")
  await query("insert into audit_events (action, actor, at) values ('x', 'test', now() - interval '10 years')")
  await query("insert into audit_events (action, actor) values ('x', 'test')") // not in any month yet
  const thisMonth = await nameOf(query, 0)

  t.match(await sweep(database, YEAR), { audit: 1 }, 'the row of the default partition')
  const kept = await keepAuditMonths(database, YEAR)
  t.strictSame({ made: kept.made.length, dropped: kept.dropped }, { made: 4, dropped: [old.soon] })
  t.match(await partitions(query), {
    [old.boundary]: 100, // of which some are past it: the month ends within it
    [old.recent]: 100,
    [thisMonth]: 1,
    [archive]: 1,
    audit_events_default: 0,
  }, 'a partition of another name is not dropped')
  t.notOk(old.soon in await partitions(query))

  t.match(await sweep(database, { ...YEAR, retentionMs: 30 * DAY }), { audit: 201 }, 'rows of any one')
  t.match(await keepAuditMonths(database, { ...YEAR, retentionMs: 30 * DAY }), { dropped: [old.boundary, old.recent] })
  t.equal((await listAudit(database, {})).rows.length, 1)
})

t.test('where months cannot be made now, rows are kept in the default partition', async (t) => {
  const { database, query, note, url } = await open(t)
  const reader = await connect(t, url)
  await reader('begin; select count(*) from audit_events')
  await t.rejects(keepAuditMonths(database, YEAR), { code: 'database_unavailable' }, 'a report is being read')
  await note('now()')
  await note(month(1))
  t.match(await partitions(query), { audit_events_before: 1, audit_events_default: 1 })
  await reader('commit')
  t.match(await keepAuditMonths(database, YEAR), { made: { length: 3 } })

  await query(
    `insert into audit_events (action, actor, at) select 'x', 'test', ${month(5)} from generate_series(1, 10001)`,
  )
  await query(`alter table audit_events detach partition ${await nameOf(query, 2)}`)
  await query(
    `insert into audit_events (action, actor, at) select 'x', 'test', ${month(2)} from generate_series(1, 10001)`,
  )
  await query(`drop table ${await nameOf(query, 2)}`)
  t.match(await keepAuditMonths(database, YEAR), { made: [] }, 'ten thousand rows are not moved behind a lock')
})

t.test('a role without rights on tables goes on as before, with the rights that it was granted', async (t) => {
  const url = await freshDatabase(t)
  const query = await connect(t, url)
  const journal = JSON.parse(readFileSync('migrations/meta/_journal.json', 'utf8')) as { entries: { tag: string }[] }
  const role = `r_${new URL(url).pathname.slice(1)}`
  await query(`create role ${role} login password 'x'`)
  t.teardown(() => query(`drop owned by ${role}; drop role ${role}`))
  for (const { tag } of journal.entries) {
    if (tag.endsWith('_audit_months')) {
      await query(`grant select, insert, update, delete on all tables in schema public to ${role};
        grant usage on all sequences in schema public to ${role}; grant select on audit_events to public`)
    }
    await query(readFileSync(`migrations/${tag}.sql`, 'utf8'))
  }
  // later tables
  await query(
    `grant select, insert, update, delete on admin_sessions, admin_forms, activity_counts, sampled_requests, tokens,
      policy_drafts, policy_previews, policy_applications, policy_approvals, policy_trials, policy_trial_answers,
      access_reviews, live_preview to ${role};
    grant select, insert, update on audit_exports to ${role};
    grant select, insert on audit_seals, policy_versions, policy_images to ${role};
    grant select on user_names to ${role}`,
  )
  const own = new URL(url)
  Object.assign(own, { username: role, password: 'x' })
  const database = openDatabase({ server: own.href, poolSize: 2 })
  t.teardown(() => database.close())
  const theirs = await connect(t, own.href)
  await theirs(`insert into audit_events (action, actor, at) values ('x', 't', now()), ('x', 't', ${month(1)}),
    ('x', 't', now() - interval '2 years')`)
  await t.rejects(keepAuditMonths(database, YEAR))
  const seals = { secrets: ['a secret'], retentionMs: YEAR.retentionMs }
  t.match(await createAuditSealer(database, seals).run(), { rows: 3 })
  for (const statement of ['delete from audit_seals', 'update audit_seals set rows = 1', 'truncate audit_seals']) {
    await t.rejects(theirs(statement), { code: '42501' }, statement)
  }
  await t.rejects(theirs("update audit_events set actor = 'x'"), { code: '42501' })
  await t.rejects(theirs("delete from audit_events where at > now() - interval '1 day'"), { code: '42501' })
  await t.rejects(theirs('truncate audit_events'), { code: '42501' })
  t.match(await sweep(database, YEAR), { audit: 1 }, 'what is past the retention is deleted')
  t.strictSame(await partitions(query), { audit_events_before: 1, audit_events_default: 1 })
  t.match(await verifyAudit(database, seals), { rows: 2, rowsPastRetention: 1, broken: undefined })
})

t.test('the statements of version 0.2.0 work beside the months', async (t) => {
  const { database, query } = await open(t)
  await keepAuditMonths(database, YEAR)
  const insert = `insert into "audit_events" ("id", "at", "action", "actor", "user_id", "username", "correlation_id",
    "detail") values (default, default, $1, $2, default, $3, default, $4)`
  for (const action of ['login', 'group.add', 'logout']) await query(insert, [action, 'login', 'sam', '{}'])
  await query(`insert into audit_events (action, actor, at) values ('group.remove', 'x', ${month(1)}),
    ('old', 'x', now() - interval '2 years')`)
  const list =
    `select to_json(at) #>> '{}' as at, action, actor, username, correlation_id as "correlationId", detail from
      audit_events
    where ($1::uuid is null or user_id = $2::uuid)
      and ($3::timestamptz is null or at >= $4::timestamptz)
      and ($5::text is null or action = $6::text or starts_with(action, $7::text || '.'))
    order by id desc limit $8`
  const listed = await query(list, [null, null, null, null, 'group', 'group', 'group', 100])
  t.strictSame(listed.map(({ action }) => action), ['group.remove', 'group.add'])
  await query(
    `delete from audit_events where id in (select id from audit_events where at <
    now() - $1::float8 * interval '1 millisecond' order by id limit $2)`,
    [365 * DAY, 1_000],
  )
  t.strictSame((await query('select action from audit_events order by id')).map(({ action }) => action), [
    'login',
    'group.add',
    'logout',
    'group.remove',
  ])
})

async function text(query: Query, expression: string): Promise<string> {
  return String((await query<{ text: string }>(`select (${expression})::text as text`))[0]?.text)
}
