// The record for administrators: what each filter finds, that every one reads by an index, and the record as a file.
import t, { type Test } from 'tap'
import { createAuditAdmin, type AuditQuery } from '../../src/admin/audit.js'
import { detailText, readableDetail } from '../../src/admin/audit-detail.js'
import { auditFile } from '../../src/admin/audit-files.js'
import type { AuditCursor, AuditView } from '../../src/core/audit.js'
import { allPages } from '../../src/core/page.js'
import { createAuditReader } from '../../src/store/audit-list.js'
import { keepAuditMonths } from '../../src/store/audit-months.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { createPeopleStore } from '../../src/store/people.js'
import { explained, rowsRead, SMALL } from '../helpers/plans.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const REMOVED = 'aaaaaaaa-0000-4000-8000-000000000001'

async function record(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  await keepAuditMonths(database, { retentionMs: 400 * 86_400_000, isClockConfirmed: true, isExported: false })
  return { query, database, admin: adminOf(database) }
}

function adminOf(database: Database) {
  const people = createPeopleStore(database, TIMEOUTS)
  const findPerson = async (text: string) => (await people.find(text)).id
  return createAuditAdmin({ audit: createAuditReader(database), findPerson })
}

type Admin = ReturnType<typeof adminOf>

async function found(admin: Admin, query: AuditQuery, limit = 7): Promise<AuditView[]> {
  const rows: AuditView[] = []
  const pages = allPages((after: AuditCursor | undefined) => admin.list({ ...query, after, limit }))
  for await (const page of pages) rows.push(...page)
  return rows
}

/** 120,000 rows in five months: sign-ins by far the most, a few acts by command, all of them old. */
async function seedRecord(query: Query): Promise<void> {
  await query(`insert into users (username, username_key) select 'u' || n, 'u' || n from generate_series(1, 2000) n`)
  await query(`
    insert into audit_events (at, action, actor, user_id, username, correlation_id)
    select now() + interval '100 days' - interval '130 days' * (n / 120000.0),
      case when n % 25 = 0 then 'reevaluation' when n % 100 = 1 then 'login.refused' else 'login' end,
      case when n % 25 = 0 then 'sync' else 'login' end, u.id, u.username, 'c' || n
    from generate_series(1, 119600) n join users u on u.username = 'u' || (1 + n % 2000)`)
  await query(`
    insert into audit_events (at, action, actor, correlation_id)
    select now() - interval '29 days', (array['group.add', 'group.remove', 'user.add', 'key.rotate'])[1 + n % 4],
      'cli:ann', 'old' || n / 10 from generate_series(1, 400) n`)
  await query('analyze audit_events')
}

t.test('each filter finds its rows, alone and with the others, page by page', async (t) => {
  const { query, admin } = await record(t)
  await query("insert into users (username, username_key) values ('kim', 'kim')")
  await query(`
    insert into audit_events (at, action, actor, user_id, username, correlation_id)
    select date_trunc('hour', now()) - interval '1 hour' * (n / 9),
      (array['login', 'login.refused', 'group.add', 'group.permission.granted', 'grouping'])[1 + n % 5],
      (array['login', 'cli:ann', 'cli:annette'])[1 + n % 3],
      case when n % 4 = 0 then (select id from users) when n % 4 = 1 then '${REMOVED}'::uuid end,
      case when n % 4 = 0 then 'kim' end, case when n % 7 > 0 then 'c' || n % 7 end
    from generate_series(1, 300) n`)
  const [{ id: kim = '' } = {}] = await query<{ id: string }>('select id from users')
  const since = new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000 - 20 * 3_600_000)
  const until = new Date(since.getTime() + 10 * 3_600_000)
  const filters: readonly (readonly [AuditQuery, string])[] = [
    [{ person: 'KIM' }, `user_id = '${kim}'`],
    [{ person: REMOVED }, `user_id = '${REMOVED}'`],
    [{ actor: 'cli:ann' }, "actor = 'cli:ann'"],
    [{ action: 'group' }, "action like 'group.%'"],
    [{ action: 'login' }, "action in ('login', 'login.refused')"],
    [{ correlationId: 'c3' }, "correlation_id = 'c3'"],
    [{ since }, `at >= '${since.toISOString()}'`],
    [{ until }, `at < '${until.toISOString()}'`],
  ]
  for (let chosen = 0; chosen < 2 ** filters.length; chosen++) {
    const parts = filters.filter((_, at) => (chosen >> at & 1) === 1)
    if (new Set(parts.map(([one]) => Object.keys(one)[0])).size < parts.length) continue
    const asked = Object.assign({}, ...parts.map(([one]) => one)) as AuditQuery
    const where = ['true', ...parts.map(([, condition]) => condition)].join(' and ')
    const ids = (await query(`select e.id::text from audit_events e where ${where} order by at desc, e.id desc`))
      .map(({ id }) => id)
    t.strictSame((await found(admin, asked, 97)).map(({ id }) => id), ids, where)
  }
  t.strictSame(await found(admin, { actor: "' or true --" }), [])
  t.strictSame(await found(admin, { person: 'bbbbbbbb-0000-4000-8000-000000000001' }), [])
  await t.rejects(admin.list({ person: 'nobody' }), { code: 'user_unknown' })
  await t.rejects(admin.list({ actor: 'a\0b' }), { code: 'request_malformed' })
  await t.rejects(admin.list({ person: '\0' }), { code: 'request_malformed' })
  await t.rejects(admin.list({ since: new Date(8.6e15) }), { code: 'request_malformed' })
  await t.rejects(admin.list({ until: new Date('0000-01-01T00:00:00Z') }), { code: 'request_malformed' })
})

// proves: admin-audit-indexed
t.test('no combination of filters reads more than a few pages of rows, also where no row meets all', async (t) => {
  const LIMIT = 50
  const { query, database } = await record(t)
  await seedRecord(query)
  const { database: watched, plans } = explained(database)
  const admin = adminOf(watched)
  const day = (days: number) => new Date(Date.now() + days * 86_400_000)
  const places = await query<{ at: string, id: string }>(
    'select at::text as at, e.id::text from audit_events e order by e.at desc, e.id desc offset 60000 limit 1',
  )
  const values: Readonly<Record<string, readonly AuditQuery[]>> = {
    person: [{ person: 'u25' }, { person: 'u7' }],
    actor: [{ actor: 'login' }, { actor: 'sync' }, { actor: 'cli:ann' }, { actor: 'nobody' }],
    action: [{ action: 'login' }, { action: 'login.refused' }, { action: 'group' }, { action: 'nothing' }],
    correlationId: [{ correlationId: 'c77' }, { correlationId: 'old3' }],
    time: [{ since: day(-3) }, { until: day(-20) }, { since: day(20), until: day(22) }, { since: day(99) }],
  }
  const combinations = Object.values(values).reduce<readonly AuditQuery[]>(
    (before, each) => before.flatMap((one) => [one, ...each.map((value) => ({ ...one, ...value }))]),
    [{}],
  )
  t.equal(combinations.length, 3 * 5 * 5 * 3 * 5)
  const worst = { read: 0, query: {} as AuditQuery }
  // all of actor, action and time, and some of the others
  const isAsked = ({ person, correlationId }: AuditQuery, at: number): boolean =>
    (person === undefined && correlationId === undefined) || at % 11 === 0
  for (const asked of combinations.filter(isAsked)) {
    for (const after of [undefined, places[0]]) {
      plans.length = 0
      await admin.list({ ...asked, after, limit: LIMIT })
      const scans = plans.flat().filter((node) => !SMALL.has(node['Relation Name']))
      const whole = scans.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name'])
      const read = rowsRead(scans)
      if (whole.length > 0 || read > 20 * LIMIT) t.fail(`${JSON.stringify(asked)}: ${read} rows, whole: ${whole}`)
      if (read > worst.read) Object.assign(worst, { read, query: asked })
    }
  }
  t.ok(worst.read > LIMIT, `at most ${worst.read} rows read: ${JSON.stringify(worst.query)}`)
})

t.test('the record as a file has every row once, and says where it ends at the bound', async (t) => {
  const { query, admin } = await record(t)
  await query(`insert into audit_events (at, action, actor, detail)
    select now() - interval '1 second' * (n / 3), 'login', 'login', '{"n": 1}' from generate_series(1, 2500) n`)
  const ids = (await query('select e.id::text from audit_events e order by at desc, e.id desc')).map(({ id }) => id)
  const lines = async (maxRows?: number) => {
    let text = ''
    for await (const part of auditFile(await admin.export({}, maxRows), 'ndjson')) text += part
    return text.trimEnd().split('\n').map((line) => JSON.parse(line) as AuditView)
  }
  t.strictSame((await lines()).map(({ id }) => id), ids)
  t.strictSame((await lines(2_500)).map(({ id }) => id), ids, 'exactly as many as there are')
  for (const bound of [1, 999, 1_000, 1_001, 2_499]) {
    const rows = await lines(bound)
    t.strictSame(rows.slice(0, -1).map(({ id }) => id), ids.slice(0, bound))
    t.match(rows.at(-1), { action: 'export.incomplete', id: ids[bound - 1] })
  }
})

t.test('a file is read no faster than it is taken', async (t) => {
  let pages = 0
  const rows = Array.from({ length: 1_000 }, (_, id) => row({ id: String(id) }))
  const audit = { list: async () => ({ rows, next: { at: '', id: String(++pages) } }), users: async () => [] }
  const file = auditFile(await createAuditAdmin({ audit, findPerson: async () => '' }).export({}), 'csv')
  await file.next()
  t.equal(pages, 0, 'the header is there before the first page')
  await file.next()
  t.equal(pages, 1)
  await file.return(undefined)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(pages, 1)
})

function row(part: Partial<AuditView>): AuditView {
  const nobody = { userId: null, username: null, correlationId: null }
  return { id: '1', at: '2026-11-28T00:00:00+00:00', action: 'login', actor: 'login', ...nobody, detail: {}, ...part }
}

async function csvOf(rows: readonly AuditView[]): Promise<string> {
  const pages = async function* () {
    yield rows
  }
  let text = ''
  for await (const part of auditFile({ pages: pages(), bounded: () => false }, 'csv')) text += part
  return text
}

// proves: admin-csv-formula
t.test('no name becomes a formula in a spreadsheet, and no name ends its cell', async (t) => {
  const names = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '"=1', 'a,b', 'two\nlines', 'Zoë']
  const text = await csvOf(names.map((username) => row({ username, detail: { a: '=1,"2' } })))
  const lines = text.split('\r\n')
  t.equal(lines[0], 'id,at,action,actor,userId,username,correlationId,detail')
  const cells = lines.slice(1, -1).map((line) => line.slice('1,2026-11-28T00:00:00+00:00,login,login,,'.length))
  t.strictSame(cells.map((line) => line.slice(0, line.indexOf(',"{"'))), [
    "'=1+1,",
    "'+1,",
    "'-1,",
    "'@SUM(A1),",
    "'\t=1,",
    '"\'\r=1",',
    '"""=1",',
    '"a,b",',
    '"two\nlines",',
    'Zoë,',
  ])
  t.ok(cells.every((line) => line.endsWith(',"{""a"":""=1,\\""2""}"')))
})

t.test('a terminal obeys no name of a file, and its JSON says the same', async (t) => {
  const username = '\u001b[31m\u009b31m\u202eevil\u{e0001}'
  const pages = async function* () {
    yield [row({ username })]
  }
  const parts: string[] = []
  for await (const part of auditFile({ pages: pages(), bounded: () => false }, 'ndjson')) parts.push(part)
  t.match(parts.join(''), /^[\x20-\x7e]+\n$/)
  t.equal((JSON.parse(parts.join('')) as AuditView).username, username)
})

t.test('a detail is readable: what was beside what is, and the rest by name', async (t) => {
  t.strictSame(readableDetail({ before: { name: 'a', x: 1 }, after: { name: 'b' }, sessionsEnded: 2, none: [] }), {
    changes: [{ name: 'name', before: 'a', after: 'b' }, { name: 'x', before: '1', after: null }],
    facts: [{ name: 'sessionsEnded', value: '2' }],
  })
  t.strictSame(readableDetail({ before: null, after: { username: 'kim' } }).changes, [
    { name: 'username', before: null, after: 'kim' },
  ])
  t.strictSame(readableDetail({ before: { superuser: true }, superuser: [] }).changes, [
    { name: 'superuser', before: 'true', after: 'false' },
  ])
  const detail = {
    by: { address: '::1' },
    hash: 'x',
    gains: 0,
    reason: 'Left.',
    before: { a: 1, b: 2 },
    after: { a: 1 },
  }
  t.strictSame(readableDetail(detail), {
    changes: [{ name: 'b', before: '2', after: null }],
    facts: [
      { name: 'reason', value: 'Left.' },
      { name: 'gains', value: '0' },
      { name: 'by.address', value: '::1' },
      { name: 'hash', value: 'x' },
    ],
  }, 'what did not change is left out, the reason is first, and ids are last')
  const gained = readableDetail({ before: { superuser: false }, superuser: [{ row: 1, entraGroup: 'x' }] })
  t.strictSame(gained.changes, [{ name: 'superuser', before: 'false', after: 'true' }])
  t.equal(
    detailText({ reason: 'signed out', groups: { added: ['A', 'B'], removed: [] }, causes: [{ row: 1 }], no: null }),
    'reason: signed out; groups.added: A, B; causes: (row: 1)',
  )
})

t.test('administrators among the actors are known by name, others are not looked up', async (t) => {
  const { query, admin } = await record(t)
  const [{ id: userId = '' } = {}] = await query<{ id: string }>(
    "insert into users (username, username_key, name) values ('Sue', 'sue', 'Sue Super') returning id",
  )
  const actors = [`admin:${userId}`, `admin:${REMOVED}`, 'admin:sue', 'login', 'cli:root']
  const found = await admin.actorsOf(actors.map((actor) => ({ actor })))
  t.strictSame([...found], [[`admin:${userId}`, { userId, username: 'Sue', name: 'Sue Super' }]])
  t.equal((await admin.actorsOf([])).size, 0)
})
