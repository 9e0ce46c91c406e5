// The filters of lists of users and sessions: every combination selects what it says, and no page reads a table whole.
import { readFileSync } from 'node:fs'
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
  q: (value: string) => {
    const like = /\w{3}/.test(value) ? `'%${value}%'` : `'${value}%'`
    return `(u.username ilike ${like} or u.name ilike ${like} or u.family_name ilike ${like} or u.email ilike ${like}
      or exists (select 1 from identities i where i.user_id = u.id and (i.upn ilike ${like}
      or i.oid::text = '${value}')))`
  },
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
    { q: 'ily12' },
    { q: '00123@corp' },
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

t.test('a search lists beginnings before other parts, page by page, and needs three letters or digits', async (t) => {
  const { query, database } = await crowd(t, 3_000, 20)
  const people = createPeopleStore(database, TIMEOUTS)
  await query(`update users set name = 'Mary family77-Jones' where username = 'U0002990@corp.test'`)
  await query(`insert into users (username, username_key, name) values ('Über', 'über', 'Straße 100%_\\ x')`)
  const usernames = async (q: string, limit: number) =>
    (await all((after: PeopleCursor | undefined) => people.list({ q, after, limit }))).map(({ username }) => username)
  for (const limit of [1, 7, 39, 40, 200]) {
    const found = await usernames('family7', limit)
    t.equal(found.at(-1), 'U0002990@corp.test', `only its display name contains the text: last, pages of ${limit}`)
    t.equal(new Set(found).size, found.length, 'each once')
  }
  t.strictSame(await usernames('traSSe', 5), [], 'ß is not ss')
  t.strictSame(await usernames('TRAß', 5), ['Über'])
  t.strictSame(await usernames('100%_\\', 5), ['Über'], 'no wildcards')
  t.strictSame(await usernames('0%', 5), [], 'two letters or digits: beginnings alone')
  t.strictSame(await usernames('ÜBE', 5), ['Über'])
  t.strictSame(await usernames('corp\nfamily', 5), [], 'no name contains the line break between two')

  await query(`update users set username = 'Renamed', username_key = 'renamed' where username = 'Über'`)
  t.strictSame(await usernames('name', 5), ['Renamed'], 'a changed name is found')
  t.strictSame(await usernames('übe', 5), [], 'and the former one is not')
  await query(`delete from users where username = 'Renamed'`)
  t.strictSame(await usernames('name', 5), [])
})

t.test('without the extension a search finds the beginnings of names', async (t) => {
  const { query, database } = await crowd(t, 300, 20)
  const people = createPeopleStore(database, TIMEOUTS)
  const count = async (q: string) => (await all((after: PeopleCursor | undefined) => people.list({ q, after }))).length
  t.strictSame([await count('0000123'), await count('u0000123')], [1, 1])
  await query('drop extension pg_trgm cascade')
  t.strictSame([await count('0000123'), await count('u0000123')], [0, 1])
  const next = await people.list({ q: 'u0000123', after: { username: 'U0000001@corp.test' } })
  t.strictSame(next.rows.length, 1, 'the list begins anew')
  t.strictSame(await query('select gatehouse_search_by_trigrams() as done'), [{ done: false }])
  await query('create schema elsewhere; create extension pg_trgm schema elsewhere')
  t.strictSame(await query('select gatehouse_search_by_trigrams() as done'), [{ done: true }])
  t.strictSame(await count('0000123'), 1, 'once it was installed, in any schema')
})

t.test('the migration goes on where the extension cannot be installed', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seedCrowd(query, 10)
  const role = `r_${new URL(url).pathname.slice(1)}`
  await query(`drop extension pg_trgm cascade; drop trigger gatehouse_names on users;
    drop trigger gatehouse_names_in on users; drop table user_names;
    drop function gatehouse_names, gatehouse_record_names, gatehouse_search_by_trigrams;
    create role ${role} login password 'x'; grant create, usage on schema public to ${role};
    alter table users owner to ${role}; alter table identities owner to ${role}`)
  t.teardown(() => query(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`))
  const theirs = await connect(t, Object.assign(new URL(url), { username: role, password: 'x' }).href)
  await theirs(readFileSync('migrations/0039_user_names.sql', 'utf8'))
  t.strictSame(await query("select count(*)::int as extensions from pg_extension where extname = 'pg_trgm'"), [
    { extensions: 0 },
  ])
  t.strictSame(await query("select names from user_names where names like 'u0000007%'"), [
    { names: 'u0000007@corp.test\nmail7@example.test\ngiven7 family7\nfamily7' },
  ])
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
    { q: '00123@corp' },
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
    { q: 'corp.test' },
  ]
  // Its members are the users from 10,000 on: none of those that are examined first.
  const late: PeopleFilter = { group: 'Group 2' }
  const pairs = (one: readonly PeopleFilter[], other: readonly PeopleFilter[]) =>
    one.flatMap((each) => other.map((another) => ({ ...another, ...each })))
  const kinds: readonly (readonly [most: number, filters: readonly PeopleFilter[]])[] = [
    [2_500, [...few.slice(0, -1), {}, { staff: true }]],
    [4_500, [...few, ...many]],
    [4_500, pairs(few, [...few, ...many, late])],
    [30_000, pairs([...many, late], [...many, late])], // also what a search lists after the beginnings
  ]
  for (const [most, filters] of kinds) {
    let worst = 0
    for (const filter of filters) {
      const beginnings = 'q' in filter && Object.keys(filter).length === 1 && most < 5_000
      for (const after of beginnings ? [undefined] : [undefined, middle]) {
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
