// The order of the re-evaluation in a real PostgreSQL: what stands beside a snapshot is kept by triggers, users without
// a session leave the order and come back, and no statement reads everybody.
import type { SQL } from 'drizzle-orm'
import t, { type Test } from 'tap'
import type { EntraUser } from '../../src/core/account-source.js'
import type { DueQuery } from '../../src/core/reevaluation-store.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { createDueUsers } from '../../src/store/due-users.js'
import { migrate } from '../../src/store/migrate.js'
import { createReevaluationOrder, type UserOrder } from '../../src/store/reevaluation-order.js'
import { createReevaluationWriter } from '../../src/store/reevaluation-writer.js'
import { createStalenessExpiry } from '../../src/store/staleness-expiry.js'
import { explained, rowsRead, scansOf } from '../helpers/plans.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'

const TENANT = '11111111-1111-4111-8111-111111111111'
const [MINUTE, HOUR] = [60_000, 3_600_000]
const OPTIONS = {
  tenantId: TENANT,
  idleTimeoutMs: 8 * HOUR,
  absoluteTimeoutMs: 48 * HOUR,
  privilegedTimeoutMs: undefined,
}
const QUERY: DueQuery = {
  cycleMs: 4.5 * MINUTE,
  usersPerSecond: 1,
  floor: { privilegedMs: 50 * MINUTE, othersMs: 23 * HOUR },
  runEveryMs: 15_000,
  stalenessLimitsMs: [HOUR, 24 * HOUR],
  overdueOnly: false,
}
const LIMITS = { privilegedMs: HOUR, maxMs: 24 * HOUR, unattemptedMs: 10 * MINUTE }

interface Scene {
  readonly url: string
  readonly database: Database
  readonly query: Query
}

/** Users with a session each, read within the last fifty minutes; every fiftieth is staff. */
async function scene(t: Test, users: number): Promise<Scene> {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 12 })
  t.teardown(() => database.close())
  const query = await connect(t, url)
  await query(
    `with u as (insert into users (username, username_key, is_staff)
      select 'u' || n, 'u' || n, n % 50 = 0 from generate_series(1, $1::int) n returning id, username),
    i as (insert into identities (tid, oid, user_id) select $2::uuid, gen_random_uuid(), id from u),
    s as (insert into sessions (id_hash, public_id, user_id) select sha256(id::text::bytea), 'ses_' || username, id
      from u)
    insert into entra_readings (user_id, group_ids, read_at)
      select id, '{}', now() - random() * interval '50 min' from u`,
    [users, TENANT],
  )
  await query('analyze')
  return { url, database, query }
}

async function namesIn(database: Database, order: UserOrder): Promise<readonly string[]> {
  const names: string[] = []
  for await (const { username } of createReevaluationOrder(database, OPTIONS).users(order)) names.push(username)
  return names
}

const signIn = (name: string): string =>
  `insert into entra_readings (user_id, group_ids, read_at) select id, '{}', now() from users where username = '${name}'
    on conflict (user_id) do update set read_at = excluded.read_at;
  insert into sessions (id_hash, public_id, user_id) select sha256('${name}'), 'ses_again_' || username, id from users
    where username = '${name}'`

const beside = (query: Query, name: string) =>
  query(
    `select privileged, without_session as "withoutSession" from entra_readings join users on id = user_id
      where username = $1`,
    [name],
  )

t.test('whether a user is privileged stands beside the snapshot, whoever changes a flag', async (t) => {
  const { query } = await scene(t, 50)
  const privileged = async (name: string) => (await beside(query, name))[0]?.privileged
  t.same([await privileged('u1'), await privileged('u50')], [false, true])
  await query("update users set is_superuser = true where username in ('u1', 'u50')")
  t.same([await privileged('u1'), await privileged('u50')], [true, true])
  await query("update users set is_staff = false where username = 'u50'")
  t.equal(await privileged('u50'), true, 'superuser still')
  await query('update users set is_superuser = false, is_staff = false')
  t.same([await privileged('u1'), await privileged('u50')], [false, false])
  await query("update users set is_staff = true where username = 'u2'")
  await query(signIn('u2'))
  t.equal(await privileged('u2'), true, 'after another snapshot')
})

// proves: sync-order-ended, sync-order-active
t.test('users without a session leave the order, and a sign-in brings them back', async (t) => {
  const { database, query } = await scene(t, 60)
  await query("delete from sessions where public_id in ('ses_u1', 'ses_u50')")
  for (const order of [{ privileged: true }, { privileged: false }]) {
    const names = await namesIn(database, { by: 'snapshot', ...order })
    t.equal(names.length, order.privileged ? 0 : 58)
    t.notOk(names.includes('u1'))
  }
  for (const name of ['u1', 'u50']) t.match(await beside(query, name), [{ withoutSession: true }])
  t.match(await beside(query, 'u2'), [{ withoutSession: false }])
  await query(signIn('u50'))
  t.strictSame(await namesIn(database, { by: 'snapshot', privileged: true }), ['u50'])
  t.match(await beside(query, 'u50'), [{ withoutSession: false }])
})

t.test('attempts and signals of users without a session are removed', async (t) => {
  const { database, query } = await scene(t, 3)
  await query("delete from sessions where public_id <> 'ses_u1'")
  await query('insert into entra_checks (user_id, tried_at) select id, now() from users')
  await query(`insert into change_signals (user_id, signalled_at)
    select id, case username when 'u3' then now() else now() - interval '2 min' end from users`)
  t.strictSame(await namesIn(database, { by: 'attempt' }), ['u1'])
  t.strictSame(await namesIn(database, { by: 'signal' }), ['u1'])
  t.equal((await query('select 1 from entra_checks')).length, 1)
  t.strictSame(
    await query('select username from change_signals join users on id = user_id order by 1'),
    [{ username: 'u1' }, { username: 'u3' }],
    'a signal stays until a sign-in certainly reads the change',
  )
})

// proves: sync-sign-in-stays
t.test('a sign-in after the page was read is not left out', async (t) => {
  const { database, query } = await scene(t, 2)
  await query('delete from sessions')
  let asked = 0
  const interrupted: Database = {
    ...database,
    async ask(work) {
      const result = await database.ask(work)
      if (++asked === 1) await query(signIn('u1'))
      return result
    },
  }
  t.strictSame(await namesIn(interrupted, { by: 'snapshot', privileged: false }), [])
  t.match([await beside(query, 'u1'), await beside(query, 'u2')], [
    [{ withoutSession: false }],
    [{ withoutSession: true }],
  ])
  t.strictSame(await namesIn(database, { by: 'snapshot', privileged: false }), ['u1'])
})

t.test('a row that a sign-in has locked is left as it is, without waiting', async (t) => {
  const { url, database, query } = await scene(t, 2)
  await query('delete from sessions')
  const other = await connect(t, url)
  await other('begin')
  await other(signIn('u1'))
  t.strictSame(await namesIn(database, { by: 'snapshot', privileged: false }), [])
  await other('commit')
  t.strictSame(await namesIn(database, { by: 'snapshot', privileged: false }), ['u1'])
})

// proves: sync-revised
t.test('what no program leaves behind is corrected by the next calls', async (t) => {
  const { database, query } = await scene(t, 60)
  const order = createReevaluationOrder(database, OPTIONS)
  const dueUsers = createDueUsers(database, OPTIONS)
  await query("insert into users (username, username_key, is_staff) values ('local', 'local', true)")
  await query(
    "insert into sessions (id_hash, public_id, user_id) select '\\x00', 'ses_local', id from users where " +
      "username = 'local'",
  )
  await query('alter table users disable trigger gatehouse_order')
  await query("update users set is_superuser = true where username = 'u1'")
  await query("update users set is_staff = false where username = 'u50'")
  await query('alter table users enable trigger gatehouse_order')
  await query(
    'update entra_readings set without_session = true where user_id = (select id from users where username = ' +
      "'u2')",
  )
  await query("delete from entra_readings where user_id = (select id from users where username = 'u3')")
  t.equal((await namesIn(database, { by: 'snapshot', privileged: false })).length, 57)
  await order.revise()
  const rows = []
  for (const name of ['u1', 'u2', 'u3', 'u50', 'local']) rows.push(await beside(query, name))
  t.match(rows, [
    [{ privileged: true, withoutSession: false }],
    [{ privileged: false, withoutSession: false }],
    [{ privileged: false, withoutSession: false }],
    [{ privileged: false, withoutSession: false }],
    [],
  ])
  t.equal((await dueUsers.find(QUERY))[0]?.username, 'u3', 'a user that was never read is due first')
  t.ok((await dueUsers.overview()).lagMs > 365 * 24 * HOUR)
})

t.test('each call looks at other sessions, and begins again after the last', async (t) => {
  const { database, query } = await scene(t, 5_000)
  const order = createReevaluationOrder(database, OPTIONS)
  const left = async () => Number((await query('select count(*) from entra_readings where without_session'))[0]?.count)
  await query('update entra_readings set without_session = true')
  const after: number[] = []
  for (let call = 0; call < 3; call++) {
    await order.revise()
    after.push(await left())
  }
  t.strictSame(after, [3_000, 1_000, 0])
  await query('update entra_readings set without_session = true')
  await order.revise()
  t.equal(await left(), 3_000)
})

t.test('more users than one page are read in their order', async (t) => {
  const { database, query } = await scene(t, 4_500)
  await query("update entra_readings set read_at = date_trunc('minute', read_at)") // many equal times
  const expected = await query<{ username: string }>(`select username from entra_readings join users on id = user_id
    where not is_staff order by read_at, user_id`)
  t.strictSame(
    await namesIn(database, { by: 'snapshot', privileged: false }),
    expected.map(({ username }) => username),
  )
})

t.test('sign-ins, flags, attempts and expiry at the same time do not block each other', async (t) => {
  const { url, database, query } = await scene(t, 8)
  const users = await query<EntraUser & Record<string, unknown>>(
    'select id as "userId", username, oid::text from users join identities on user_id = id',
  )
  const writer = createReevaluationWriter(database)
  const [dueUsers, expiry] = [createDueUsers(database, OPTIONS), createStalenessExpiry(database, OPTIONS)]
  const signIns = await connect(t, url)
  const account = {
    grants: { groups: [], missing: [], staff: [], superuser: [] },
    groupIds: [],
    sessionsValidFrom: null,
    requireMappedGroup: false,
  }
  const user = (round: number): EntraUser => users[round % users.length] as EntraUser
  const snapshot = async () => ({ readAt: await writer.now(), correlationId: 'c0ffee00-0000-4000-8000-000000000000' })
  const work: ((round: number) => Promise<unknown>)[] = [
    async (round) => {
      await signIns('begin')
      await signIns('select 1 from users where id = $1 for update', [user(round).userId])
      await signIns("update entra_readings set read_at = now() - interval '2 days' where user_id = $1", [
        user(round).userId,
      ])
      await signIns('update users set is_staff = not is_staff where id = $1', [user(round).userId])
      await signIns('delete from sessions where user_id = $1', [user(round).userId])
      await signIns(
        `insert into sessions (id_hash, public_id, user_id) values (sha256($1::text::bytea), $1, $2)`,
        [`ses_${round}`, user(round).userId],
      )
      await signIns('commit')
    },
    async (round) => await writer.apply(user(round), await snapshot(), account),
    async () => await writer.failed(users),
    async (round) => await writer.missing(user(round + 3), await snapshot()),
    async () => await dueUsers.find(QUERY),
    async () => await dueUsers.overview(),
    async () => await expiry.expire({ privilegedMs: MINUTE, maxMs: HOUR, unattemptedMs: 0 }),
    async (round) => await query('delete from sessions where user_id = $1', [user(round + 5).userId]),
  ]
  let done = 0
  await Promise.all(work.map(async (each) => {
    for (let round = 0; round < 60; round++) {
      await each(round)
      done++
    }
  }))
  t.equal(done, 60 * work.length, 'no deadlock, and no statement over its limit')
})

// proves: sync-order-indexed, sync-order-looked-up
t.test('no statement of a re-evaluation but the count reads everybody', async (t) => {
  const users = 60_000
  const { database, query } = await scene(t, users)
  await query(`insert into change_signals (user_id, signalled_at) select user_id, now() from entra_readings
    limit 10000`)
  await query(`insert into entra_checks (user_id, tried_at) select user_id, now() - interval '1 min' from entra_readings
    order by user_id limit 10000`)
  await query('analyze')
  const { database: explaining, plans } = explained(database)
  const read = () => plans.splice(0).map((plan) => Math.round(rowsRead(scansOf([plan]))))
  const dueUsers = createDueUsers(explaining, OPTIONS)
  t.equal((await dueUsers.find({ ...QUERY, usersPerSecond: 100 })).length, 2_000)
  const [, counted = 0, ...found] = read()
  await dueUsers.overview()
  await createStalenessExpiry(explaining, OPTIONS).expire(LIMITS)
  const others = read()
  t.comment(`rows read: ${counted} for the count; ${found.join(', ')}; ${others.join(', ')}`)
  t.ok(counted >= users, 'the count, which is kept for a minute')
  t.ok([...found, ...others].every((rows) => rows <= 30_000), 'a page, or a part, of 2,000 users in eight tables')
  t.ok(found.length <= 15)
})

// proves: sync-order-counted
t.test('very many users are counted once a minute', async (t) => {
  const { database, query } = await scene(t, 20_100)
  let counts = 0
  const order = createReevaluationOrder(database, OPTIONS)
  const counting: Database = {
    ...database,
    ask: (work) =>
      database.ask((db) =>
        work({
          execute: (statement: SQL) => {
            if (JSON.stringify(statement.queryChunks).includes('count(*) filter')) counts++
            return db.execute(statement)
          },
        } as never)
      ),
  }
  const dueUsers = createDueUsers(counting, OPTIONS)
  for (let run = 0; run < 3; run++) await dueUsers.find(QUERY)
  t.equal(counts, 1)
  await query("delete from sessions where public_id like 'ses_u1%'")
  await namesIn(database, { by: 'snapshot', privileged: false })
  t.ok((await order.count()).total < 20_000)
  const later = createDueUsers(counting, OPTIONS)
  for (let run = 0; run < 3; run++) await later.find(QUERY)
  t.equal(counts, 4, 'fewer are counted each time')
})
