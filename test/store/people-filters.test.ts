// The filters of lists of users and sessions: every combination selects what it says, and no page reads a table whole.
import t, { type Test } from 'tap'
import { allPages, type Page } from '../../src/core/page.js'
import type { PeopleCursor, PeopleFilter } from '../../src/core/people.js'
import type { SessionCursor, SessionFilter } from '../../src/core/sessions-list.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { createPeopleStore } from '../../src/store/people.js'
import { createSessionsList } from '../../src/store/sessions-list.js'
import { seedCrowd } from '../helpers/crowd.js'
import { explained, rowsRead, scansOf } from '../helpers/plans.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

/** One user in `every` has each property, at different places. */
async function seedProperties(query: Query, every: number): Promise<void> {
  const some = (place: number) => `substr(username, 2, 7)::int % ${every} = ${place}`
  const users = (place: number) => `select id from users where ${some(place)}`
  for (
    const statement of [
      `update user_groups set cause = '[{"row":1,"entraGroup":"11111111-1111-4111-8111-111111111111"}]'
        where user_id not in (${users(1)})`,
      `update users set is_active = false where ${some(2)} or ${some(1)}`,
      `update identities set guest = user_id in (${users(3)} union ${users(2)})`,
      `update users set last_login_at = now() - interval '100 days', created_at = now() - interval '200 days'
        where ${some(4)} or ${some(3)} or ${some(2)}`,
      `update users set last_login_at = null, created_at = now() - interval '200 days' where ${some(5)}`,
      `delete from sessions where user_id in (${users(4)} union ${users(5)} union ${users(2)})`,
      `update sessions set last_seen_at = now() - interval '100 days' where user_id in (${users(3)})`,
      "insert into groups (name) values ('Few')",
      `insert into user_groups (user_id, group_id, cause) select id, (select id from groups where name = 'Few'), '[]'
        from users where ${some(6)} or ${some(1)}`,
      'vacuum (analyze)',
    ]
  ) await query(statement)
}

async function crowd(t: Test, count: number, every: number) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seedCrowd(query, count)
  await seedProperties(query, every)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  return { query, database }
}

async function all<Row, Cursor>(page: (after: Cursor | undefined) => Promise<Page<Row, Cursor>>): Promise<Row[]> {
  const rows: Row[] = []
  for await (const each of allPages(page)) rows.push(...each)
  return rows
}

const CONDITIONS: Readonly<Record<keyof PeopleFilter, (value: never) => string>> = {
  q: (value: string) =>
    `(u.username ilike '${value}%' or u.name ilike '${value}%' or u.family_name ilike '${value}%'
    or u.email ilike '${value}%' or exists (select 1 from identities i where i.user_id = u.id and (i.upn ilike
    '${value}%' or i.oid::text = '${value}')))`,
  staff: (value: boolean) => `u.is_staff = ${value}`,
  superuser: (value: boolean) => `u.is_superuser = ${value}`,
  active: (value: boolean) => `u.is_active = ${value}`,
  guest: (value: boolean) => `exists (select 1 from identities i where i.user_id = u.id and i.guest) = ${value}`,
  handMade: (value: boolean) =>
    `exists (select 1 from user_groups m where m.user_id = u.id and m.cause is null)
    = ${value}`,
  notSeenDays: (value: number) =>
    `coalesce(u.last_login_at, u.created_at) < now() - interval '${value} days'
    and not exists (select 1 from sessions s where s.user_id = u.id and s.last_seen_at > now() -
    interval '${value} days')`,
  group: (value: string) =>
    `exists (select 1 from user_groups m join groups g on g.id = m.group_id
    where m.user_id = u.id and g.name = '${value}')`,
}

function expectedUsers(query: Query, filter: PeopleFilter): Promise<{ username: string }[]> {
  const conditions = Object.entries(filter).map(([name, value]) =>
    CONDITIONS[name as keyof PeopleFilter](value as never)
  )
  return query(`select u.username from users u where ${['true', ...conditions].join(' and ')} order by u.username`)
}

t.test('every combination of filters selects the users that fulfil all of them, in order and once', async (t) => {
  const { query, database } = await crowd(t, 3_000, 20)
  const people = createPeopleStore(database, TIMEOUTS)
  const [{ oid = '' } = {}] = await query<{ oid: string }>(
    "select oid from identities i join users u on u.id = i.user_id where username = 'U0000102@corp.test'",
  )
  await query(`insert into identities (tid, oid, user_id, guest) select '22222222-2222-4222-8222-222222222222',
    gen_random_uuid(), id, true from users where username like 'U000001%'`) // two identities of one user
  const values: readonly PeopleFilter[] = [
    { staff: true },
    { staff: false },
    { superuser: true },
    { active: false },
    { active: true },
    { guest: true },
    { guest: false },
    { handMade: true },
    { handMade: false },
    { notSeenDays: 90 },
    { notSeenDays: 365 },
    { group: 'Few' },
    { group: 'Group 2' },
    { group: 'no such group' },
    { q: 'u00001' },
    { q: 'U' },
    { q: 'family7' },
    { q: oid },
    { q: 'nobody' },
  ]
  const filters = [{}, ...values, ...values.flatMap((one) => values.map((other) => ({ ...one, ...other })))]
  let some = 0
  for (const filter of filters) {
    const expected = (await expectedUsers(query, filter)).map(({ username }) => username)
    const limit = expected.length > 300 ? 1_000 : 40
    const found = await all((after: PeopleCursor | undefined) => people.list({ ...filter, after, limit }))
    const ordered = 'q' in filter && Object.keys(filter).length === 1
      ? found.map((each) => each.username).sort()
      : undefined
    if (expected.length > 0) some++
    t.strictSame(ordered ?? found.map(({ username }) => username), expected, JSON.stringify(filter))
  }
  t.ok(some > 150, `${some} of them select somebody`)
})

t.test('a page of any filter reads little of 100,000 users, whether it selects few of them or many', async (t) => {
  const LIMIT = 50
  const { query, database } = await crowd(t, 100_000, 1_000)
  const { database: watched, plans } = explained(database)
  const people = createPeopleStore(watched, TIMEOUTS)
  const middle = { username: 'U0050000@corp.test' }
  const [{ oid = '' } = {}] = await query<{ oid: string }>('select oid from identities limit 1')
  const few: readonly PeopleFilter[] = [
    { superuser: true },
    { handMade: true },
    { active: false },
    { guest: true },
    { notSeenDays: 90 },
    { group: 'Few' },
    { q: 'u00123' },
    { q: oid },
  ]
  const many: readonly PeopleFilter[] = [
    {},
    { staff: true },
    { staff: false },
    { active: true },
    { guest: false },
    { handMade: false },
    { q: 'u' },
    { q: 'family3' },
  ]
  // Its members are the users from 10,000 on: none of those that are examined first.
  const late: PeopleFilter = { group: 'Group 2' }
  const pairs = (one: readonly PeopleFilter[], other: readonly PeopleFilter[]) =>
    one.flatMap((each) => other.map((another) => ({ ...another, ...each })))
  const kinds: readonly (readonly [most: number, filters: readonly PeopleFilter[]])[] = [
    [2_500, [...few.slice(0, -1), {}, { staff: true }]],
    [4_500, [...few, ...many]],
    [4_500, pairs(few, [...few, ...many, late])],
    [25_000, pairs([...many, late], [...many, late])],
  ]
  for (const [most, filters] of kinds) {
    let worst = 0
    for (const filter of filters) {
      for (const after of [undefined, middle]) {
        plans.length = 0
        const { rows, next } = await people.list({ ...filter, after, limit: LIMIT })
        const read = rowsRead(scansOf(plans))
        worst = Math.max(worst, read)
        if (read > most) t.fail(`${JSON.stringify(filter)}: ${read} rows read`)
        if (rows.length < LIMIT && next !== undefined && most < 5_000) t.fail(`${JSON.stringify(filter)}: a short page`)
      }
    }
    t.ok(worst <= most, `at most ${worst} rows read for ${LIMIT}, by ${filters.length} filters`)
  }
})

t.test('sessions are found by person, host, browser, address and age, and together', async (t) => {
  const { query, database } = await crowd(t, 3_000, 20)
  await query(`update sessions set browser = (array['Firefox', 'Chrome', null])[1 + substr(public_id, 6, 7)::int % 3],
    client_address = '192.0.2.' || substr(public_id, 6, 7)::int % 20,
    last_host = 'app' || substr(public_id, 6, 7)::int % 7 || '.test'`)
  await query("update sessions set created_at = date_trunc('hour', created_at)")
  const { list } = createSessionsList(database, TIMEOUTS)
  const [{ id: userId = '' } = {}] = await query<{ id: string }>(
    "select id from users where username = 'U0000030@corp.test'",
  )
  const conditions: Readonly<Record<keyof SessionFilter, (value: never) => string>> = {
    userId: (value: string) => `s.user_id = '${value}'`,
    host: (value: string) => `s.last_host = '${value}'`,
    browser: (value: string) => `s.browser = '${value}'`,
    address: (value: string) => `s.client_address = '${value}'`,
    olderThanMs: (value: number) => `s.created_at <= now() - interval '${value} milliseconds'`,
  }
  const values: readonly SessionFilter[] = [
    { userId },
    { host: 'app3.test' },
    { host: 'app' },
    { browser: 'Firefox' },
    { address: '192.0.2.7' },
    { olderThanMs: 3 * 3_600_000 },
  ]
  for (const filter of [{}, ...values, ...values.flatMap((one) => values.map((other) => ({ ...one, ...other })))]) {
    const where = Object.entries(filter).map(([name, value]) => conditions[name as keyof SessionFilter](value as never))
    const expected = await query<{ id: string }>(`select s.public_id as id from sessions s join users u on u.id =
      s.user_id where ${['u.is_active', "s.last_seen_at > now() - interval '8 hours'", ...where].join(' and ')}
      order by s.created_at desc, s.public_id desc`)
    const found = await all((after: SessionCursor | undefined) => list({ ...filter, after, limit: 90 }))
    t.strictSame(found.map(({ id }) => id), expected.map(({ id }) => id), JSON.stringify(filter))
  }
})

t.test('a page of sessions reads little of 40,000, by host, browser, address and age', async (t) => {
  const LIMIT = 50
  const { query, database } = await crowd(t, 40_000, 1_000)
  await query(`update sessions set browser = case when random() < 0.001 then 'Opera' else 'Chrome' end,
    client_address = '192.0.2.' || substr(public_id, 6, 7)::int % 200,
    last_host = case when random() < 0.001 then 'rare.test' else 'app.test' end`)
  await query('vacuum (analyze) sessions')
  const { database: watched, plans } = explained(database)
  const { list } = createSessionsList(watched, TIMEOUTS)
  const values: readonly SessionFilter[] = [
    { host: 'app.test' },
    { host: 'rare.test' },
    { browser: 'Chrome' },
    { browser: 'Opera' },
    { address: '192.0.2.7' },
    { olderThanMs: 6 * 3_600_000 },
  ]
  for (const filter of [{}, ...values, ...values.flatMap((one) => values.map((other) => ({ ...one, ...other })))]) {
    plans.length = 0
    await list({ ...filter, limit: LIMIT })
    const read = rowsRead(scansOf(plans))
    const most = Object.keys(filter).length > 1 ? 20_000 : 10 * LIMIT
    t.ok(read > 0 && read <= most, `${JSON.stringify(filter)}: ${read} rows read`)
  }
})
