// The policy in the console and its API: mapping, access rules, tests of requests, and what they mean for one user.
import t, { type Test } from 'tap'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import type { RunningConfig } from '../../../src/config/running-config.js'
import { GatehouseError } from '../../../src/core/errors.js'
import type { LiveDirectory, PolicyInForce } from '../../../src/core/policy.js'
import { explain, personAccess } from '../../../src/http/admin/api/person-policy.js'
import { policy } from '../../../src/http/admin/api/policy.js'
import { policyTest } from '../../../src/http/admin/api/policy-test.js'
import { accessSection, explainSection } from '../../../src/http/admin/pages/person-policy.js'
import { createPolicyUseCases } from '../../../src/policy-use-cases.js'
import { openDatabase } from '../../../src/store/database.js'
import { migrate } from '../../../src/store/migrate.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { connect } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { startFrame } from './frame.js'

const HOSTILE = `'"><script>alert(1)</script>\u202E`
const API = '/admin/api/v1'
const READ = 'gatehouse.read'
const id = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

type Policy = PolicyInForce & Pick<ReturnType<RunningConfig['current']>, 'authAllowed' | 'pipeline'>
const RULE = { networks: undefined, methods: undefined, paths: undefined }
const POLICY: Policy = {
  groupMapping: [
    { entraGroup: id(1), label: HOSTILE, groups: ['Circuits', `${HOSTILE}gone`], staff: true, superuser: false },
    { entraGroup: id(2), groups: [], staff: false, superuser: true },
  ],
  requireMappedGroup: false,
  access: {
    default: 'deny',
    rules: [
      { ...RULE, hosts: ['netbox.test'], allow: 'authenticated' },
      { ...RULE, hosts: ['netbox.test'], paths: ['/admin/**'], allow: 'deny' },
      {
        ...RULE,
        hosts: ['*.wiki.test'],
        allow: { groups: ['Gone'], permissions: [], staff: undefined, superuser: undefined },
      },
    ],
  },
  headers: { families: ['x-auth-request', 'assertion'], extra: [], maxBytes: 8192 },
  applications: [{ host: 'netbox.test', name: HOSTILE }],
  authAllowed: { emailDomains: [], guests: false },
  pipeline: ['auth_allowed', 'azuread_map_groups'],
}

const NO_GRAPH: LiveDirectory = {
  objectId: () => Promise.reject(new GatehouseError('graph_unavailable')),
  memberships: () => Promise.reject(new GatehouseError('graph_unavailable')),
  directMemberships: () => Promise.reject(new GatehouseError('graph_unavailable')),
  group: () => Promise.reject(new GatehouseError('graph_unavailable')),
}

async function scene(t: Test, inForce: Policy = POLICY) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  await query(`insert into users (id, username, username_key, name) values ('${id(50)}', 'max', 'max', $1)`, [HOSTILE])
  await query(`insert into identities (tid, oid, user_id) values ('${id(60)}', '${id(61)}', '${id(50)}')`)
  await query(`insert into entra_readings values ('${id(50)}', '{${id(1)},${id(9)}}', now())`)
  await query("insert into groups (name) values ('Circuits')")
  const config = {
    startup: {
      server: { publicUrl: 'https://auth.test', redirectDomains: ['netbox.test', '.wiki.test'] },
      session: { cookieDomain: 'test', idleTimeoutMs: 1_000, absoluteTimeoutMs: 1_000, privilegedTimeoutMs: undefined },
    },
    current: () => inForce,
    shown: () => inForce,
    hash: () => 'f'.repeat(64),
  } as unknown as RunningConfig
  const useCases = createPolicyUseCases(config, { database, liveDirectory: NO_GRAPH }) as AdminUseCases
  return { ...await serve(t, useCases), query, useCases }
}

async function serve(t: Test, useCases: AdminUseCases) {
  const ask = await startFrame(t, [policy, policyTest, explain, personAccess], useCases)
  const page = (path: string) => ask(path, READ)
  const api = (path: string, body?: object, headers: Record<string, string> = { 'x-csrf-token': 'token' }) => {
    const sent = { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return ask(`${API}${path}`, READ, body === undefined ? undefined : sent)
  }
  return { page, api }
}

const findingIn = (text: string): string | undefined => /data-finding="(\w+)"/.exec(text)?.[1]

t.test('pages of the policy', async (t) => {
  const { page, query, useCases } = await scene(t)
  await until(async () => (await useCases.mapping.rows({})).countedAt !== undefined)

  await t.test('the mapping shows each row with an anchor, its users and what is missing', async (t) => {
    const { status, text } = await page('/admin/mapping')
    t.equal(status, 200)
    t.match(text, '<a id="row-2" href="#row-2">2</a>')
    t.match(text, /<td class="number">1<\/td>/)
    t.match(text, 'missing')
    t.match(text, id(9), 'a group without a row')
    t.match((await page('/admin/mapping?only=unused')).text, 'id="row-2"')
    t.notMatch((await page('/admin/mapping?only=unused')).text, 'id="row-1"')
  })
  await t.test('access shows rules in order, and what check finds about them', async (t) => {
    const { text } = await page('/admin/access')
    t.ok(text.indexOf('id="rule-0"') < text.indexOf('id="rule-1"'))
    t.match(text, /<summary><span class="tag warn">\d findings?<[^]*access\.rules\[1\] can never decide/)
    t.match(text, 'is not a local group')
    t.match(text, 'superusers alone', 'the default')
    const found = (await page('/admin/access?only=findings')).text
    t.notMatch(found, 'id="rule-0"')
    t.match(found, 'id="rule-2"')
  })
  await t.test('a test has an address, and shows the decision, the rule and the headers', async (t) => {
    const { text } = await page('/admin/test?url=https://netbox.test/x%252fy&user=max')
    t.match(text, '>allowed<')
    t.match(text, '/admin/access#rule-0')
    t.match(text, 'X-Auth-Request-User')
    t.match(text, '(signed for each request)')
    t.match(text, 'value="https://netbox.test/x%2fy"', 'the form keeps what was tested')
    t.match((await page('/admin/test')).text, 'No request is tested yet.')
    const groups = await page(`/admin/test?url=https://netbox.test/&entraGroups=${id(1)},${id(2)}`)
    t.match(groups.text, '>allowed<')
  })
  await t.test('a test has the line of an expectations file', async (t) => {
    const { text } = await page('/admin/test?url=https://netbox.test/&user=max')
    const [, line = ''] = /data-field="expectation">([^<]*)</.exec(text) ?? []
    const written = line.replaceAll('&#34;', '"')
    t.equal(written, '- { user: "max", method: "GET", url: "https://netbox.test/", expect: "allow", rule: 0 }')
  })
  await t.test('input that cannot be tested is a finding, never an error of the page', async (t) => {
    for (
      const [input, code] of [
        ['url=&user=max', 'target_malformed'],
        ['url=netbox.test', 'target_malformed'],
        ['url=https://netbox.test/%2500%0a', 'target_malformed'],
        ['url=https://netbox.test/&method=G%20T', 'target_malformed'],
        ['url=https://netbox.test/&user=nobody', 'user_unknown'],
        ['url=https://netbox.test/&entraGroups=x', 'object_id_invalid'],
        [`url=https://netbox.test/&user=max&entraGroups=${id(1)}`, 'request_malformed'],
        [`url=${encodeURIComponent(HOSTILE)}&user=${encodeURIComponent(HOSTILE)}`, 'target_malformed'],
      ] as const
    ) {
      const { status, text } = await page(`/admin/test?${input}`)
      t.equal(status, 200, input)
      t.equal(findingIn(text), code, input)
      t.notMatch(text, '<script>alert')
    }
  })
  await t.test('what a sign-in would give, and that Graph is down', async (t) => {
    const { text } = await page(`/admin/people/${id(50)}/explain`)
    t.match(text, '/admin/mapping#row-1')
    t.match(text, 'Gains')
    t.match(text, 'Circuits')
    const down = await page(`/admin/people/${id(50)}/explain?live=true`)
    t.equal(down.status, 200)
    t.equal(findingIn(down.text), 'graph_unavailable')
    await query(`delete from entra_readings`)
    t.equal(findingIn((await page(`/admin/people/${id(50)}/explain`)).text), 'snapshot_missing')
    t.equal((await page(`/admin/people/${id(99)}/explain`)).status, 404)
  })
  await t.test('what they may open', async (t) => {
    const { text } = await page(`/admin/people/${id(50)}/access`)
    t.match(text, 'every other host below wiki.test')
    t.match(text, '>allowed<')
    t.match(text, '>refused<')
    t.equal((await page(`/admin/people/${id(99)}/access`)).status, 404)
    t.match((await accessSection(useCases, id(50))).content.html, 'netbox.test')
    t.match((await explainSection(useCases, id(50))).content.html, 'data-finding="snapshot_missing"')
  })
  await t.test('names and labels of any kind are text', async (t) => {
    const paths = [
      '/mapping',
      '/access',
      `/people/${id(50)}/explain`,
      `/people/${id(50)}/access`,
      '/mapping?q=%22%3E%3Cscript%3E',
    ]
    for (const path of paths) t.notMatch((await page(`/admin${path}`)).text, /<script>alert|"><script>/, path)
  })
})

t.test('ten thousand rows: a page is small and quick', async (t) => {
  const groupMapping = Array.from({ length: 10_000 }, (_, index) => ({
    entraGroup: id(index + 1_000),
    label: `Entra group number ${index} of the organisation`,
    groups: [`Local group ${index % 700}`, `Another local group ${index}`],
    staff: index % 2 === 0,
    superuser: false,
  }))
  const rules = Array.from(
    { length: 2_000 },
    (_, index) => ({ ...RULE, hosts: [`h${index}.test`], allow: 'authenticated' as const }),
  )
  const { page, api } = await scene(t, { ...POLICY, groupMapping, access: { default: 'deny', rules } })
  for (const path of ['/mapping', '/mapping?after=5000', '/mapping?only=missing', '/access', '/access?after=1000']) {
    await page(`/admin${path}`)
    const before = performance.now()
    const { status, text } = await page(`/admin${path}`)
    const took = performance.now() - before
    t.equal(status, 200)
    t.ok(text.length < 60_000, `${path}: ${text.length} bytes`)
    t.comment(`${path}: ${Math.round(took)} ms, ${text.length} bytes`)
    t.ok(took < 2_000, `${path}: ${took} ms, on a machine that does other things`)
  }
  const { json } = await api('/policy')
  t.equal((json as { mapping: readonly unknown[] }).mapping.length, 10_000)
})

t.test('the policy in the API', async (t) => {
  const { api } = await scene(t)

  await t.test('the policy in force has nothing but mapping and access rules', async (t) => {
    const { status, json, headers } = await api('/policy')
    t.equal(status, 200)
    t.strictSame(Object.keys(json).sort(), ['access', 'countedAt', 'hash', 'mapping'])
    t.match(headers.get('etag'), /^"[\w-]{22}"$/)
    t.match(json, {
      hash: 'f'.repeat(64),
      mapping: [{
        row: 1,
        entraGroup: id(1),
        label: HOSTILE,
        isStaff: true,
        groups: [{ name: 'Circuits', exists: true }],
      }],
      access: {
        rules: [
          {
            rule: 'access.rules[0]',
            hosts: ['netbox.test'],
            methods: null,
            allow: { everybody: 'authenticated' },
            hits: null,
          },
          { findings: [{ code: 'rule_never_decides' }] },
        ],
        default: { rule: 'access.default', hosts: null },
      },
    })
  })
  await t.test('a test of a request needs the form token', async (t) => {
    const request = { url: 'https://netbox.test/x', user: 'max' }
    const { status, json } = await api('/policy/test', request)
    t.equal(status, 200)
    t.match(json, { allowed: true, reason: null, rule: 'access.rules[0]', user: 'max', inactive: false, notes: [] })
    t.equal((await api('/policy/test', request, {})).status, 403)
    t.match((await api('/policy/test', { url: 'netbox.test' })).json, { status: 400, code: 'target_malformed' })
    t.match((await api('/policy/test', { url: 'https://netbox.test/', user: 'x' })).json, { code: 'user_unknown' })
    t.match((await api('/policy/test', { url: 'https://netbox.test/' })).json, {
      allowed: false,
      reason: 'not_signed_in',
      user: null,
      headers: null,
    })
  })
  await t.test('what a sign-in would give', async (t) => {
    t.match((await api(`/people/${id(50)}/explain`)).json, {
      user: 'max',
      live: false,
      entraGroups: 2,
      groups: ['Circuits'],
      isStaff: true,
      change: { gained: ['Circuits'], isStaff: 1, isSuperuser: 0 },
      rowsNotHit: 1,
    })
    t.match(await api(`/people/${id(50)}/explain?live=true`), { status: 503, json: { code: 'graph_unavailable' } })
    t.equal((await api(`/people/${id(99)}/explain`)).status, 404)
  })
  await t.test('what they may open, page by page', async (t) => {
    const first = (await api(`/people/${id(50)}/access?limit=1`)).json as { items: readonly unknown[], next: string }
    t.match(first.items, [{
      host: 'netbox.test',
      decision: 'allowed',
      rules: [{ rule: 'access.rules[0]', lets: true }],
    }])
    t.match((await api(`/people/${id(50)}/access?after=${first.next}`)).json, {
      items: [{ host: '*.wiki.test', application: null, decision: 'refused' }],
      next: null,
    })
    t.equal((await api(`/people/${id(99)}/access`)).status, 404)
  })
})

t.test('names of rules, and what shadow rules would have done', async (t) => {
  const rules = [
    { ...RULE, name: HOSTILE, hosts: ['netbox.test'], paths: ['/admin/**'], allow: 'deny' as const, enforce: false },
    { ...RULE, name: 'NetBox', hosts: ['netbox.test'], allow: 'authenticated' as const },
  ]
  const { page, api } = await scene(t, { ...POLICY, access: { default: 'deny', rules } })
  const list = (await page('/admin/access?only=shadow')).text
  t.match(list, 'id="rule-0"')
  t.notMatch(list, 'id="rule-1"')
  t.notMatch(list, HOSTILE, 'the name is escaped')
  t.match(list, '>shadow<')
  t.match((await page('/admin/access?q=netbox')).text, '<bdi>NetBox</bdi>')
  const tested = (await page('/admin/test?url=https://netbox.test/admin/x&user=max')).text
  t.match(tested, '<a href="/admin/access#rule-1"><bdi>NetBox</bdi></a>')
  t.match(tested, 'would have refused it')
  t.notMatch(tested, HOSTILE)
  t.match(JSON.parse((await api('/policy')).text), {
    access: {
      rules: [
        { rule: 'access.rules[0]', name: HOSTILE, enforced: false, dead: false },
        { rule: 'access.rules[1]', name: 'NetBox', enforced: true, wouldHave: null },
      ],
    },
  })
  const body = { url: 'https://netbox.test/admin/x', user: 'max' }
  t.match(JSON.parse((await api('/policy/test', body)).text), {
    allowed: true,
    name: 'NetBox',
    shadowRules: [{ rule: 'access.rules[0]', name: HOSTILE, would: 'not_allowed', differs: true }],
  })
})
