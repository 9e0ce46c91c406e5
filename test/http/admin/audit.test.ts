// The record in the console: list, page and files, over HTTP and a real database.
import t, { type Test } from 'tap'
import { createAuditAdmin } from '../../../src/admin/audit.js'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import { ENDPOINTS } from '../../../src/http/admin/api/endpoints.js'
import { createAuditReader } from '../../../src/store/audit-list.js'
import { openDatabase } from '../../../src/store/database.js'
import { migrate } from '../../../src/store/migrate.js'
import { createPeopleStore } from '../../../src/store/people.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { connect } from '../../helpers/sql.js'
import { within } from '../../helpers/within.js'
import { startFrame, type Reply } from './frame.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const READ = 'gatehouse.read'
const HOSTILE = `='"><script>alert(1)</script>\u202e${'x'.repeat(240)}`
const HOSTILE_SQL = HOSTILE.replaceAll("'", "''")

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const people = createPeopleStore(database, TIMEOUTS)
  const findPerson = async (text: string) => (await people.find(text)).id
  const audit = createAuditAdmin({ audit: createAuditReader(database), findPerson })
  const ask = await startFrame(t, ENDPOINTS, { audit } as unknown as AdminUseCases)
  await query(`insert into users (username, username_key) values ('kim', 'kim')`)
  await query(`insert into audit_events (at, action, actor, user_id, username, correlation_id, detail)
    select now() - interval '1 minute' * n, (array['login', 'group.add'])[1 + n % 2], 'cli:ann',
      case when n % 5 = 0 then (select id from users) end, case when n % 5 = 0 then 'kim' end, 'c' || n / 2,
      '{"before": {"name": "a"}, "after": {"name": "b"}}' from generate_series(1, 60) n`)
  return { ask, query, audit }
}

// proves: admin-audit-file-permission
t.test('the record is shown to administrators alone, in every form', async (t) => {
  const { ask } = await scene(t)
  for (const path of ['/admin/audit', '/admin/audit.csv', '/admin/audit.ndjson', '/admin/api/v1/audit']) {
    t.equal((await ask(path, READ)).status, 200, path)
    const refusals = [(await ask(path)).status, (await ask(path, 'netbox.view')).status]
    t.strictSame(refusals, [401, 404], path)
  }
})

t.test('page, list and files show the same rows for the same filter', async (t) => {
  const { ask, query } = await scene(t)
  const [{ id: kim = '' } = {}] = await query<{ id: string }>('select id from users')
  for (
    const [filter, count] of [
      ['', 60],
      ['person=kim', 12],
      [`person=${kim}&action=group`, 6],
      ['actor=cli:ann', 60],
      ['correlationId=c7', 2],
      ['since=2000-01-01&until=2099-01-01T00:00', 60],
      ['until=2000-01-01', 0],
    ] as const
  ) {
    const { json, status } = await ask(`/admin/api/v1/audit?limit=200&${filter}`, READ)
    t.equal(status, 200)
    const items = json.items as { id: string }[]
    t.equal(items.length, count, filter)
    const ids = items.map(({ id }) => id)
    const lines = (await ask(`/admin/audit.ndjson?${filter}`, READ)).text.split('\n').filter((line) => line !== '')
    t.strictSame(lines.map((line) => (JSON.parse(line) as { id: string }).id), ids)
    const csv = (await ask(`/admin/audit.csv?${filter}`, READ)).text.trimEnd().split('\r\n').slice(1)
    t.strictSame(csv.map((line) => line.split(',')[0]), ids)
    let shown = 0
    let path: string | undefined = `/admin/audit?${filter}`
    while (path !== undefined) {
      const page: Reply = await ask(path, READ)
      t.equal(page.status, 200, path)
      t.ok(page.text.length < 60_000, `${page.text.length} bytes`)
      shown += page.text.match(/<th scope="row"/g)?.length ?? 0
      path = /<a rel="next" href="([^"]+)"/.exec(page.text)?.[1]?.replaceAll('&#38;', '&')
    }
    t.equal(shown, count, filter)
  }
})

t.test('what cannot be used is refused in words, and never an error of the server', async (t) => {
  const { ask } = await scene(t)
  const api = async (query: string) => (await ask(`/admin/api/v1/audit?${query}`, READ)).json.code
  t.equal(await api('person=nobody'), 'user_unknown')
  t.equal(await api('nobody=kim'), 'query_unknown')
  t.equal(await api('actor=a&actor=b'), 'query_duplicate')
  for (const query of ['since=yesterday', 'since=2026-13-45', 'until=0000-01-01', 'actor=%00', 'after=x']) {
    t.equal(await api(query), 'request_malformed', query)
    const { status, text } = await ask(`/admin/audit?${query}`, READ)
    t.equal(status, 400, query)
    t.match(text, 'aria-label="Console"', query)
  }
  for (const after of ['2026-99-99T00:00:00+00:00_1', '0000-01-01T00:00:00+00:00_1', "2026-01-01T00:00:00+00:00_1'"]) {
    t.equal((await ask(`/admin/audit?after=${encodeURIComponent(after)}`, READ)).status, 400, after)
  }
  const unknown = await ask('/admin/audit?person=nobody', READ)
  t.equal(unknown.status, 200)
  t.match(unknown.text, 'There is no such user')
  t.match((await ask('/admin/audit?actor=nobody', READ)).text, 'show the whole record')
})

t.test('hostile names of actors, users and details stay text', async (t) => {
  const { ask, query } = await scene(t)
  await query(`insert into audit_events (action, actor, username, correlation_id, detail)
    select 'login', '${HOSTILE_SQL}', '${HOSTILE_SQL}', 'c',
      jsonb_build_object('before', jsonb_build_object('${HOSTILE_SQL}', '${HOSTILE_SQL}'::text),
        'x', '${HOSTILE_SQL}'::text)
    from generate_series(1, 25)`)
  const { text, status } = await ask('/admin/audit', READ)
  t.equal(status, 200)
  t.notMatch(text, '<script>alert')
  t.match(text, '&#60;script&#62;')
  t.ok(text.length < 60_000, `${text.length} bytes`)
  const csv = (await ask(`/admin/audit.csv?actor=${encodeURIComponent(HOSTILE)}`, READ)).text
  t.match(csv, `"'=`)
  t.notMatch(csv, /,"?=/)
})

// proves: admin-audit-files-bounded
t.test('two files are made at a time, and more are refused', async (t) => {
  const { ask, query, audit } = await scene(t)
  await query("insert into audit_events (action, actor) select 'login', 'login' from generate_series(1, 5000)")
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let begun = 0
  let start = (): void => {}
  const started = new Promise<void>((resolve) => {
    start = resolve
  })
  const slow = await startFrame(t, [], {
    audit: {
      ...audit,
      export: async (filter: object, maxRows: number) => {
        const { pages, bounded } = await audit.export(filter, maxRows)
        if (++begun === 2) start()
        const late = async function* () {
          await held
          yield* pages
        }
        return { pages: late(), bounded }
      },
    },
  } as unknown as AdminUseCases)
  const files = [1, 2, 3, 4].map(() => slow('/admin/audit.ndjson', READ))
  await within(10_000, started)
  const another = await within(10_000, slow('/admin/audit.csv', READ))
  release() // before the assertions: a file that waits keeps the server open
  t.equal(another?.status, 429)
  const answers = await Promise.all(files)
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 200, 429, 429], 'at the same time, too')
  for (const { text } of answers.filter(({ status }) => status === 200)) {
    t.equal(text.trimEnd().split('\n').length, 5_060)
  }
  t.equal((await slow('/admin/audit.csv', READ)).status, 200)
  t.match((await ask('/admin/audit.csv', READ)).headers.get('content-disposition'), /^attachment; filename="gatehouse-/)
})
