// Users, groups and sessions in the API, on the pages and as CSV, over real HTTP and a real database.
import t, { type Test } from 'tap'
import { createAuditAdmin } from '../../../src/admin/audit.js'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import type { RunningConfig } from '../../../src/config/running-config.js'
import type { MappingRow } from '../../../src/core/mapping.js'
import type { LiveDirectory } from '../../../src/core/policy.js'
import { ENDPOINTS } from '../../../src/http/admin/api/endpoints.js'
import { createAuditReader } from '../../../src/store/audit-list.js'
import { createPeopleUseCases } from '../../../src/people-use-cases.js'
import { createPolicyUseCases } from '../../../src/policy-use-cases.js'
import { openDatabase, type Database } from '../../../src/store/database.js'
import { migrate } from '../../../src/store/migrate.js'
import { seedCrowd } from '../../helpers/crowd.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { connect } from '../../helpers/sql.js'
import { startFrame } from './frame.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }
const READ = 'gatehouse.read'
const API = '/admin/api/v1'
const ENTRA_GROUP = 'aaaaaaaa-0000-4000-8000-000000000001'
const HOSTILE = `='"><script>alert(1)</script>\u202e%2F/../${'x'.repeat(250)}`
/** 150 characters, none of which may be taken for a part of the address. */
const GROUP = `a/b?c#d%2Fe&f=g "<b>" ..\\ ${'\u{1F600}'.repeat(125)}`

interface Listed {
  readonly items: readonly Record<string, unknown>[]
  readonly next: string | null
}

async function scene(t: Test, count = 130) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seedCrowd(query, count)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const cause = `'[{"row":1,"entraGroup":"${ENTRA_GROUP}"}]'::jsonb`
  await query('insert into groups (name, description) values ($1, $1)', [GROUP])
  await query(
    `insert into user_groups (user_id, group_id, cause) select u.id, g.id, ${cause} from users u, groups g
    where g.name = $1`,
    [GROUP],
  )
  await query("update users set name = $1, email = $1 where username = 'U0000001@corp.test'", [HOSTILE])
  await query(
    `update sessions set browser = 'Firefox', client_address = '192.0.2.1', last_host = $1
    where public_id = 'ses_U0000001@corp.test'`,
    [HOSTILE],
  )
  const mapping = [{ entraGroup: ENTRA_GROUP, label: HOSTILE, groups: [GROUP, 'Gone'], staff: false, superuser: false }]
  const useCases = createPeopleUseCases({ database, timeouts: TIMEOUTS, policy: () => ({ mapping, rules: [] }) })
  const ask = await startFrame(t, ENDPOINTS, {
    ...useCases,
    ...policyUseCases(database, mapping),
    audit: createAuditAdmin({ audit: createAuditReader(database), findPerson: async () => '' }),
  } as AdminUseCases)
  const [{ id = '' } = {}] = await query<{ id: string }>("select id from users where username = 'U0000001@corp.test'")
  return { ask, query, id }
}

/** Pages of a user lead to what the policy means for them. No test reads Graph. */
function policyUseCases(database: Database, groupMapping: readonly MappingRow[]) {
  const current = () => ({
    groupMapping,
    requireMappedGroup: false,
    access: { default: 'authenticated', rules: [] },
    headers: { families: ['x-auth-request'], extra: [], maxBytes: 8192 },
    applications: [],
    authAllowed: { emailDomains: [], guests: true },
    pipeline: ['azuread_map_groups'],
  })
  const config = {
    startup: {
      server: { publicUrl: 'https://auth.test', redirectDomains: [] },
      session: { cookieDomain: 'test', ...TIMEOUTS },
    },
    current,
    shown: current,
    hash: () => 'f'.repeat(64),
  } as unknown as RunningConfig
  return createPolicyUseCases(config, { database, liveDirectory: {} as LiveDirectory })
}

// proves: admin-csv-permission
t.test('administrators alone see users, groups and sessions', async (t) => {
  const { ask, id } = await scene(t)
  const group = encodeURIComponent(GROUP)
  for (
    const path of [
      'people',
      `people/${id}`,
      'people.csv',
      'groups',
      `groups/${group}`,
      'sessions',
      `api/v1/people`,
      `api/v1/people/${id}`,
      'api/v1/groups',
      `api/v1/groups/${group}`,
      `api/v1/groups/${group}/members`,
      'api/v1/sessions',
    ].map((each) => `/admin/${each}`)
  ) {
    const statuses = [(await ask(path, READ)).status, (await ask(path)).status, (await ask(path, 'a.b')).status]
    t.strictSame(statuses, [200, 401, 404], path)
  }
})

t.test('lists of the API go on where the page before ended, in UTC, and only for their own list', async (t) => {
  const { ask } = await scene(t)
  for (const [path, count] of [['people', 130], ['people?q=u', 130], ['sessions', 130], ['groups', 11]] as const) {
    const found: unknown[] = []
    let next: string | null = ''
    while (next !== null) {
      const after: string = next === '' ? '' : `&after=${next}`
      const { status, json } = await ask(`${API}/${path}${path.includes('?') ? '&' : '?'}limit=7${after}`, READ)
      t.equal(status, 200)
      const page = json as unknown as Listed
      found.push(...page.items.map((item) => item.id ?? item.name))
      next = page.next
    }
    t.strictSame([found.length, new Set(found).size], [count, count], path)
  }
  const { json } = await ask(`${API}/sessions?limit=1`, READ)
  const { items: [session], next } = json as unknown as Listed
  t.match(session?.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.match((await ask(`${API}/people?after=${next}`, READ)).json, { code: 'request_malformed', parameter: 'after' })
  for (const [query, code] of [['staf=true', 'query_unknown'], ['staff=1', 'request_malformed']]) {
    t.equal((await ask(`${API}/people?${query}`, READ)).json.code, code)
  }
  t.equal((await ask(`${API}/people?q=%00`, READ)).json.code, 'request_malformed')
  t.equal((await ask(`${API}/sessions?person=nobody`, READ)).json.code, 'user_unknown')
  t.equal((await ask(`${API}/groups?missing=true`, READ)).json.items instanceof Array, true)
})

t.test('single objects have an ETag of what an edit must have seen', async (t) => {
  const { ask, query, id } = await scene(t)
  const [person, group] = [`${API}/people/${id}`, `${API}/groups/${encodeURIComponent(GROUP)}`]
  const tagOf = async (path: string) => (await ask(path, READ)).headers.get('etag')
  const before = [await tagOf(person), await tagOf(group)]
  t.match(before[0], /^"[\w-]{22}"$/)
  await query("update sessions set last_seen_at = now() - interval '1 minute'")
  t.strictSame([await tagOf(person), await tagOf(group)], before, 'not of what changes by itself')
  await query('update users set is_staff = not is_staff')
  t.not(await tagOf(person), before[0])
  await query('update groups set description = $1', ['other'])
  t.not(await tagOf(group), before[1])
  const { json } = await ask(person, READ)
  t.match(json.rights, [{ kind: 'staff', byHand: true, endsAtNextSignIn: true }], 'set by hand')
  t.equal((json.groups as unknown[]).length, 2)
  t.equal((await ask(`${API}/people/aaaaaaaa-0000-4000-8000-00000000000f`, READ)).json.code, 'user_unknown')
  t.equal((await ask(`${API}/groups/nothing`, READ)).json.code, 'group_unknown')
})

t.test('names with any characters lead to their page and stay text', async (t) => {
  const { ask, id } = await scene(t)
  const paths = [
    'people',
    `people/${id}`,
    'groups',
    `groups/${encodeURIComponent(GROUP)}`,
    'sessions',
    'groups?missing=true',
  ]
  for (const path of paths) {
    const { status, text } = await ask(`/admin/${path}`, READ)
    t.equal(status, 200, path)
    t.ok(Buffer.byteLength(text) < 60_000, `${path}: ${Buffer.byteLength(text)} bytes`)
    t.notOk(/<script>alert|<b>/.test(text), `${path}: nothing is markup`)
    for (const [, href = ''] of text.matchAll(/href="(\/admin\/(?:people|groups|sessions)[^"]*)"/g)) {
      const address = href.replaceAll('&#38;', '&')
      if (/\.csv|after=/.test(address)) continue
      t.equal((await ask(address, READ)).status, 200, address)
    }
  }
})

t.test('why somebody has a right is three links away, with row, Entra group and beginning', async (t) => {
  const { ask, id } = await scene(t)
  const people = await ask('/admin/people?q=U0000001', READ)
  t.match(people.text, `href="/admin/people/${id}"`)
  const { text } = await ask(`/admin/people/${id}`, READ)
  t.match(text, 'href="/admin/mapping#row-1"')
  t.match(text, ENTRA_GROUP)
  t.match(text, /since <time datetime="\d{4}-/)
  t.match(text, 'gone at the next sign-in')
  t.match((await ask('/admin/groups', READ)).text, '#row-1">row 1</a>', 'the list names the row that grants a group')
  const group = await ask(`/admin/groups/${encodeURIComponent(GROUP)}`, READ)
  t.match(group.text, 'href="/admin/mapping#row-1"')
  t.match(group.text, `href="/admin/people/${id}"`)
  t.match((await ask('/admin/groups/Gone', READ)).text, 'There is no local group of this name')
  t.equal((await ask('/admin/people/aaaaaaaa-0000-4000-8000-00000000000f', READ)).status, 404)
})

t.test('pages have the same filters and pages as the API, and say what to do where nothing is found', async (t) => {
  const { ask } = await scene(t)
  let path: string | undefined = '/admin/people?staff=false'
  const found = new Set<string>()
  while (path !== undefined) {
    const { text, status }: { text: string, status: number } = await ask(path, READ)
    t.equal(status, 200)
    for (const [, id = ''] of text.matchAll(/href="\/admin\/people\/([0-9a-f-]{36})"/g)) found.add(id)
    path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&#38;', '&')
  }
  t.equal(found.size, 129)
  for (
    const query of ['people?q=zzz', 'people?guest=true', 'groups?q=zzz', 'sessions?person=nobody', 'sessions?host=x']
  ) {
    const { text, status } = await ask(`/admin/${query}`, READ)
    t.equal(status, 200, query)
    t.match(text, /class="(?:empty|note)/, query)
  }
  t.equal((await ask('/admin/people?notSeenDays=x', READ)).status, 400)
  t.equal((await ask('/admin/people?after=x', READ)).status, 400)
})

t.test('the list of users as CSV has all rows of the filter, and no formulas', async (t) => {
  const { ask, query } = await scene(t, 1_300)
  await query("update users set name = '=cmd|x', email = '+1' where username = 'U0000002@corp.test'")
  const { text, headers } = await ask('/admin/people.csv?staff=false', READ)
  t.match(headers.get('content-type'), /^text\/csv/)
  t.match(headers.get('content-disposition'), 'attachment')
  const lines = text.trimEnd().split('\r\n')
  t.equal(lines.length, 1 + 1_300 - 13)
  t.match(lines[0], /^id,username,name,email,isActive/)
  t.match(lines.find((line) => line.includes('U0000002@')), ",'=cmd|x,'+1,")
  t.equal((await ask('/admin/people.csv?q=nobody', READ)).text.trimEnd().split('\r\n').length, 1)
  t.equal((await ask('/admin/people.csv?notSeenDays=x', READ)).status, 400)
})
