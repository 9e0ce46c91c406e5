// Lists of users, sessions and the record page by page: complete, in order, and at a cost that does not grow with the
// number of rows.
import { EventEmitter } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { withCommandProcess } from '../../src/commands/command-process.js'
import { jsonOutput, printPages } from '../../src/commands/row-output.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../../src/demo/people.js'
import type { AuditCursor } from '../../src/core/audit.js'
import { listAudit } from '../../src/store/audit-list.js'
import { keepAuditMonths } from '../../src/store/audit-months.js'
import { openDatabase } from '../../src/store/database.js'
import { snapshotsOfActiveUsers } from '../../src/store/membership-snapshots.js'
import { migrate } from '../../src/store/migrate.js'
import { allPages, type Page } from '../../src/core/page.js'
import { createGroupsList } from '../../src/store/groups-list.js'
import { createPeopleStore } from '../../src/store/people.js'
import { createRecordCounter } from '../../src/store/record-counts.js'
import { pageInRounds } from '../../src/store/rounds.js'
import { createTokensList } from '../../src/store/tokens-list.js'
import type { PeopleCursor } from '../../src/core/people.js'
import type { SessionCursor } from '../../src/core/sessions-list.js'
import type { TokenCursor } from '../../src/core/tokens.js'
import { runInProcess } from '../helpers/command.js'
import { seedCrowd } from '../helpers/crowd.js'
import { freshDatabase } from '../helpers/postgres.js'
import { explained, rowsRead, scansOf } from '../helpers/plans.js'
import { connect, withoutTriggers } from '../helpers/sql.js'
import { createSessionAdmin } from '../helpers/acts.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

async function crowd(t: Test, count: number) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seedCrowd(query, count)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  return { url, query, database }
}

async function all<Row, Cursor>(page: (after: Cursor | undefined) => Promise<Page<Row, Cursor>>): Promise<Row[]> {
  const rows: Row[] = []
  for await (const each of allPages(page)) rows.push(...each)
  return rows
}

// proves: list-next-page, list-people-after, list-sessions-after, list-audit-after
t.test('every row is on one page, in order, however long the pages are', async (t) => {
  const { query, database } = await crowd(t, 500)
  const [people, sessions] = [createPeopleStore(database, TIMEOUTS), createSessionAdmin(database, TIMEOUTS)]
  const usernames = async (where: string) =>
    (await query<{ username: string }>(`select username from users where ${where} order by username`))
      .map(({ username }) => username)
  await query("update sessions set created_at = date_trunc('hour', created_at)") // in one instant with many others
  await query(withoutTriggers("update audit_events set at = date_trunc('day', at)"))

  for (const limit of [7, 100, 500, 1_000]) {
    const listed = async (filter: { staff?: boolean, superuser?: boolean }) =>
      (await all((after: PeopleCursor | undefined) => people.list({ ...filter, after, limit }))).map((each) =>
        each.username
      )
    t.strictSame(await listed({}), await usernames('true'))
    t.strictSame(await listed({ staff: true }), await usernames('is_staff'))
    t.strictSame(await listed({ staff: true, superuser: true }), await usernames('is_staff and is_superuser'))

    const shown = await all((after: SessionCursor | undefined) => sessions.list({ after, limit }))
    t.strictSame(
      shown.map(({ id }) => id),
      (await query('select public_id from sessions order by created_at desc, public_id desc')).map((row) =>
        row.public_id
      ),
    )
    for (
      const [action, condition] of [[undefined, 'true'], ['user', "action like 'user.%'"], [
        'login',
        "action = 'login'",
      ]]
    ) {
      const record = await all((after: AuditCursor | undefined) => listAudit(database, { action, after, limit }))
      t.strictSame(
        record.map(({ username }) => username),
        (await query(`select username from audit_events where ${condition} order by at desc, id desc`)).map((row) =>
          row.username
        ),
      )
    }
  }
})

// proves: list-groups-after, list-tokens-after
t.test('every group and every token is on one page, in order', async (t) => {
  const { query, database } = await crowd(t, 10)
  const [groups, tokens] = [createGroupsList(database), createTokensList(database)]
  await query(`insert into tokens (id, kind, name, owner_id, scopes, hash, created_by, expires_at, created_at)
    select 'tok_' || n, 'admin', 'n', (select id from users limit 1), '{}', sha256(n::text::bytea), 'test',
      now() + interval '1 day', now() - n / 5 * interval '1 hour' from generate_series(1, 40) n`) // five in an instant
  for (const limit of [2, 3, 100]) {
    t.strictSame(
      (await all((after: string | undefined) => groups.list({ after, limit }))).map(({ name }) => name),
      (await query('select name from groups order by name')).map(({ name }) => name),
    )
    t.strictSame(
      (await all((after: TokenCursor | undefined) => tokens.list({ after, limit }))).map(({ id }) => id),
      (await query('select id from tokens order by created_at desc, id desc')).map(({ id }) => id),
    )
  }
})

// proves: list-round-after
t.test('a filter that few of many rows fulfil: each round begins where the one before has ended', async (t) => {
  const read: number[] = []
  const page = (after: number | undefined) =>
    pageInRounds<number, number>({
      after,
      limit: 3,
      first: 10,
      cursorOf: (row) => row,
      async read(from = 0, size) {
        const examined = Array.from({ length: Math.min(size, 30_000 - from) }, (_, index) => from + index + 1)
        read.push(examined.length)
        return { rows: examined.filter((row) => row % 1_500 === 0), examined: examined.length, last: examined.at(-1) }
      },
    })
  t.strictSame(await all(page), Array.from({ length: 20 }, (_, index) => (index + 1) * 1_500))
  t.equal(Math.max(...read), 2_000, 'rows examined by one statement')
})

t.test('users are found by the beginning of what they are called, each once', async (t) => {
  const { query, database } = await crowd(t, 500)
  const people = createPeopleStore(database, TIMEOUTS)
  await query(`insert into users (username, username_key, email, name, family_name) values
    ('a_b@corp.test', 'a_b@corp.test', null, null, null), ('axb@corp.test', 'axb@corp.test', null, null, null),
    ('50%', '50%', null, 'Zoë Äß', 'ÄSS'), ('gus', 'gus', 'GUS@corp.test', 'Gus', 'gus')`)
  const found = async (prefix: string, limit = 20, filter = {}) => {
    const rows = await all((after: PeopleCursor | undefined) => people.list({ q: prefix, ...filter, after, limit }))
    return rows.map(({ username }) => username)
  }
  const expected = async (condition: string) =>
    new Set((await query(`select username from users where ${condition}`)).map((row) => row.username))

  const one = ['U0000123@corp.test']
  for (const prefix of ['u0000123', 'U0000123@CORP', 'mail123@', 'MAIL123@', 'upn-u0000123@', 'Upn-U0000123']) {
    t.strictSame(await found(prefix), one, prefix)
  }
  t.strictSame(new Set(await found('family46')), await expected("family_name = 'Family46'"))
  t.strictSame(new Set(await found('given7 family')), await expected("given_name = 'Given7'"))
  for (const limit of [3, 50, 10_000]) {
    const everybody = await found('u', limit)
    t.strictSame(new Set(everybody), await expected("username_key like 'u%'"))
    t.equal(everybody.length, new Set(everybody).size, 'by username and by UPN, and listed once')
    t.strictSame(
      new Set(await found('u', limit, { staff: true })),
      await expected("username_key like 'u%' and is_staff"),
    )
  }
  t.strictSame(await found('gus', 2), ['gus'], 'username, e-mail and both names')
  t.strictSame(await found('a_'), ['a_b@corp.test'], '_ is no placeholder')
  t.strictSame(await found('50%'), ['50%'])
  t.strictSame(await found('%'), [])
  t.strictSame(await found('\\'), [])
  t.strictSame(await found('zoë'), ['50%'])
  t.strictSame((await found('')).length, 504, 'everybody begins with nothing')
  t.strictSame(await found("x' or true"), [])
})

t.test('no page reads more than what it shows, at the beginning, in the middle and at the end', async (t) => {
  const COUNT = 20_000
  const LIMIT = 50
  const { query, database } = await crowd(t, COUNT)
  await keepAuditMonths(database, { retentionMs: 400 * 86_400_000, isClockConfirmed: true, isExported: false })
  // in three more partitions
  await query(`insert into audit_events (at, action, actor) select now() + n * interval '10 minutes',
    (array['login', 'user.add'])[1 + n % 2], 'test' from generate_series(1, 10000) n`)
  await query('analyze audit_events')
  const { database: watched, plans } = explained(database)
  const [people, sessions] = [createPeopleStore(watched, TIMEOUTS), createSessionAdmin(watched, TIMEOUTS)]
  const [{ id: userId = '' } = {}] = await query<{ id: string }>(
    "select id from users where username = 'U0000123@corp.test'",
  )
  const [{ oid = '' } = {}] = await query<{ oid: string }>(`select oid from identities where user_id = '${userId}'`)
  const places = (await query<{ username: string, created: string, at: string, id: string }>(`
    select u.username, s.created_at::text as created, a.at::text as at, a.id::text
    from users u join sessions s on s.user_id = u.id join audit_events a on a.user_id = u.id
    where u.username in ('U0010000@corp.test', 'U0019940@corp.test')`)).map((row) => ({
    username: row.username,
    session: { createdAt: row.created, id: `ses_${row.username}` },
    event: { at: row.at, id: row.id },
  }))
  t.equal(places.length, 2)
  const since = new Date(Date.now() - 60 * 86_400_000)
  const requests: Record<string, () => Promise<unknown>> = {
    'a username': () => people.find('u0000123@corp.test'),
    'a UPN': () => people.find('upn-U0000123@corp.test'),
    'an e-mail address': () => people.find('mail123@example.test'),
    'an object ID': () => people.find(oid),
    'what the metrics count': () => createRecordCounter(watched).refresh(),
    'ten times as many sessions': () => sessions.list({ limit: 10 * LIMIT }),
    'the sessions of one user': () => sessions.list({ userId, limit: LIMIT }),
    'the record of one user': () => listAudit(watched, { userId, limit: LIMIT }),
    'one action of one user': () => listAudit(watched, { userId, action: 'user', limit: LIMIT }),
  }
  for (const { username, session, event } of [undefined, ...places].map((place) => ({ ...place }))) {
    const after = username === undefined ? undefined : { username }
    const from = ` from ${username ?? 'the beginning'}`
    Object.assign(requests, {
      [`users${from}`]: () => people.listDetailed({ after, limit: LIMIT }),
      [`staff${from}`]: () => people.listDetailed({ staff: true, after, limit: LIMIT }),
      [`superusers${from}`]: () => people.listDetailed({ superuser: true, after, limit: LIMIT }),
      [`sessions${from}`]: () => sessions.list({ after: session, limit: LIMIT }),
      [`the record${from}`]: () => listAudit(watched, { after: event, limit: LIMIT }),
      [`the record since a time${from}`]: () => listAudit(watched, { since, after: event, limit: LIMIT }),
      [`actions${from}`]: () => listAudit(watched, { action: 'user', after: event, limit: LIMIT }),
      [`recent actions${from}`]: () => listAudit(watched, { action: 'logout', since, after: event, limit: LIMIT }),
    })
  }
  const later = { term: 'u0010000@corp.test', id: userId }
  for (
    const [prefix, after] of [['u', undefined], ['u', later], ['', later], ['given7', undefined], [
      'z',
      undefined,
    ]] as const
  ) {
    Object.assign(requests, {
      [`search ${prefix} ${after?.term}`]: () => people.listDetailed({ q: prefix, after, limit: LIMIT }),
      [`search staff ${prefix} ${after?.term}`]: () => people.listDetailed({ q: prefix, staff: true, limit: LIMIT }),
    })
  }
  for (const [name, request] of Object.entries(requests)) {
    plans.length = 0
    await request()
    const scans = scansOf(plans)
    const whole = scans.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name'])
    t.strictSame(whole, [], `${name}: no table is read whole`)
    const read = rowsRead(scans)
    t.ok(scans.length > 0 && read <= 25 * LIMIT, `${name}: ${read} rows read for ${LIMIT}`)
  }
})

t.test('no batch of a preview reads more than its own users', async (t) => {
  const { database } = await crowd(t, 40_000)
  const { database: watched, plans } = explained(database)
  const read: number[] = []
  let users = 0
  for await (const batch of snapshotsOfActiveUsers(watched, [])) {
    users += batch.length
    read.push(rowsRead(scansOf(plans.splice(0))))
  }
  t.equal(users, 40_000)
  t.equal(read.length, 40)
  t.ok(Math.max(...read) <= 20_000, `${read.join(' ')} rows read for 1,000 users each`)
})

t.test('users list and sessions list print all pages as one table or one array', async (t) => {
  const { url, query } = await crowd(t, 1_300)
  await query("update users set name = repeat('W', 60) where username = 'U0001250@corp.test'")
  const file = join(t.testdir(), 'gatehouse.yaml')
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180' },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
    }),
  )
  const print = async (...args: string[]) => {
    const { stdout, stderr, status } = await runInProcess([...args, '--config', file])
    t.equal(status, 0, stderr)
    return stdout
  }
  for (const args of [['users', 'list'], ['sessions', 'list'], ['users', 'list', '--search', 'u']]) {
    const json = await print(...args, '--json')
    const rows = JSON.parse(json) as { username: string }[]
    t.equal(rows.length, 1_300)
    t.equal(json, `${JSON.stringify(rows, null, 2)}\n`)
    const lines = (await print(...args)).trimEnd().split('\n')
    t.match(lines[0], /USERNAME/)
    t.strictSame(lines.slice(1).map((line) => /U\d+@corp\.test(?= )/.exec(line)?.[0]), rows.map((row) => row.username))
  }
  t.equal(await print('users', 'list', '--search', 'nobody', '--json'), '[]\n')
  t.equal(await print('users', 'list', '--search', 'nobody'), 'No users.\n')
  t.equal(await print('users', 'list', '--search', 'nobody', '--why'), 'No users.\n')
  t.match(await print('users', 'list', '--search', 'U0000100@', '--staff', '--why'), /^U0000100@corp\.test\n {2}staff/)
})

t.test('a list is read no faster than it is taken, and not to the end once the reader has gone', async (t) => {
  const stdout = Object.assign(new EventEmitter(), { writableNeedDrain: true, write: () => {} })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  let pages = 0
  const endless = async function* () {
    for (;;) {
      yield [{ page: ++pages }]
      await settled()
    }
  }
  const printing = withCommandProcess({ stdout, stderr: stdout, env: {} }, () => printPages(endless(), jsonOutput()))
  await settled()
  t.equal(pages, 1)
  stdout.emit('drain')
  await settled()
  t.equal(pages, 1, 'it is full again')
  Object.assign(stdout, { writableNeedDrain: false })
  stdout.emit('drain')
  for (let each = 0; each < 5; each++) await settled()
  t.ok(pages > 1)
  stdout.emit('error')
  await printing
  t.strictSame([stdout.listenerCount('drain'), stdout.listenerCount('error')], [0, 0])
})
