// Drafts of the policy at the API: whose they are, what is refused of them, and what is said of a text that cannot be
// used.
import t from 'tap'
import { MOST_DRAFT_TEXT, MOST_DRAFTS } from '../../../src/core/policy-draft.js'
import { GROUP_IDS } from '../../../src/demo/people.js'
import type { PreviewResult } from '../../../src/core/policy-preview.js'
import { sweep } from '../../../src/store/sweep.js'
import { MAPPING } from '../../helpers/gateway.js'
import { HOSTILE_NAMES } from '../../helpers/hostile-names.js'
import { connect } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { startAdminScene, type AdminScene, type ApiClient } from './helper.js'

const DAY_MS = 86_400_000

/** Asks as a page of the console does. */
function send({ clients: { sue } }: AdminScene, client: ApiClient = sue) {
  return async (method: string, path: string, body?: unknown, ifMatch?: string) =>
    await client.ask(path, {
      method,
      headers: {
        'sec-fetch-site': 'same-origin',
        'x-csrf-token': client.csrfToken,
        ...ifMatch === undefined ? {} : { 'if-match': ifMatch },
      },
      ...body === undefined ? {} : { body },
    })
}

/** A draft with this text. */
async function draftOf(scene: AdminScene, text: string): Promise<{ path: string, etag: string }> {
  const { json, text: answer } = await send(scene)('POST', '/policy/drafts', { text })
  if (typeof json?.['id'] !== 'string') throw new Error(answer)
  return { path: `/policy/drafts/${json['id']}`, etag: String(json['etag']) }
}

async function checked(scene: AdminScene, text: string) {
  const { path } = await draftOf(scene, text)
  const { json } = await send(scene)('POST', `${path}/check`)
  return json as {
    usable: boolean
    hash: string | null
    problems: { line: number, path: string, code: string, message: string | null }[]
    count: number
  }
}

t.test('a draft begins with the text in force, is saved with its comments, and is recorded by its hash', async (t) => {
  const scene = await startAdminScene(t)
  const ask = send(scene)
  const begun = await ask('POST', '/policy/drafts', { message: 'Night shift' })
  const path = `/policy/drafts/${String(begun.json?.['id'])}`
  const { json: first, headers } = await ask('GET', path)
  t.match(first, { base: 1, isStale: false, inForce: 1, message: 'Night shift', authorName: /./, revision: 1 })
  t.equal(headers['etag'], begun.json?.['etag'])
  const { json: version } = await ask('GET', '/policy/versions/1')
  t.equal(first?.['text'], version?.['text'])

  const text = `# why\n${String(version?.['text'])}`
  const saved = await ask('PUT', path, { text }, String(headers['etag']))
  t.match(saved, { status: 200, json: { changed: true } })
  t.match((await ask('GET', path)).json, { text, revision: 2 })
  t.match(await ask('PUT', path, { text }, String(saved.json?.['etag'])), { json: { changed: false } })
  t.match((await ask('GET', '/policy/drafts')).json, { items: [{ revision: 2, size: text.length }], next: null })

  const query = await connect(t, scene.gateway.databaseUrl)
  const rows = await query<{ detail: unknown }>(
    "select detail from audit_events where action like 'policy.draft.%' order by id",
  )
  t.match(rows, [
    { detail: { before: null, after: { sha256: /^[0-9a-f]{64}$/, message: 'Night shift', base: 1 } } },
    { detail: { before: { sha256: /^[0-9a-f]{64}$/ }, after: { sha256: /^[0-9a-f]{64}$/ }, draft: /^drf_/ } },
  ])
  t.equal(rows.length, 2, 'nothing is recorded of what changed nothing')
})

t.test('of two administrators who save, the second one is told', async (t) => {
  const scene = await startAdminScene(t)
  const ask = send(scene)
  const { path, etag } = await draftOf(scene, 'requireMappedGroup: true\n')
  t.match(await ask('PUT', path, { text: '# one\n' }, etag), { status: 200 })
  t.match(await ask('PUT', path, { text: '# two\n' }, etag), { status: 412, json: { code: 'version_stale' } })
  t.match(await ask('PUT', path, { text: '# two\n' }), { status: 428, json: { code: 'version_missing' } })
  t.match(await ask('DELETE', `${path}?reason=old`, undefined, etag), { status: 412 })
  t.match((await ask('GET', path)).json, { text: '# one\n' })
})

t.test('a draft whose base does not run any more is stale, with what differs from what runs', async (t) => {
  const [, ...others] = MAPPING
  const scene = await startAdminScene(t, { groupMapping: MAPPING })
  const ask = send(scene)
  const { json } = await ask('POST', '/policy/drafts', {})
  const path = `/policy/drafts/${String(json?.['id'])}`
  t.match((await ask('GET', `${path}/diff`)).json, { version: 1, changes: [] })
  scene.gateway.reload({ groupMapping: others })
  t.ok(await until(async () => (await ask('GET', path)).json?.['inForce'] === 2))
  t.match((await ask('GET', path)).json, { isStale: true, base: 1 })
  t.match((await ask('GET', `${path}/diff`)).json, { version: 2, changes: [{ path: 'groupMapping', before: null }] })
  t.match((await ask('GET', `${path}/diff?against=base`)).json, { version: 1, changes: [] })

  const { headers, json: draft } = await ask('GET', path)
  const rebased = { text: draft?.['text'], base: 2 }
  t.match(await ask('PUT', path, { ...rebased, base: 77 }, String(headers['etag'])), { status: 404 })
  t.match(await ask('PUT', path, rebased, String(headers['etag'])), { status: 200 })
  t.match((await ask('GET', path)).json, { isStale: false, base: 2 })
})

// proves: policy-draft-aliases
t.test('what is wrong with a text is said with its line, whatever the text is', async (t) => {
  const scene = await startAdminScene(t)
  t.match(await checked(scene, 'requireMappedGroup: true\ndefaultGroups: 7\n'), {
    usable: false,
    hash: null,
    problems: [{ line: 2, path: 'defaultGroups' }],
  })
  t.match(await checked(scene, 'server: {}\n'), { problems: [{ line: 1, code: 'key_not_policy' }] })
  t.match(await checked(scene, 'groupMapping: [{\n'), { usable: false, problems: [{ path: '' }] })
  t.match(await checked(scene, '\u202Eno yaml: [: }'), { usable: false })
  t.match(await checked(scene, ''), { usable: true, hash: /^[0-9a-f]{64}$/ }, 'every key has its default value')
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf', 'hg', 'ih']) {
    bomb.push(`${name}: &${name} [${Array(9).fill(`*${of}`).join(', ')}]`)
  }
  t.match(await checked(scene, bomb.join('\n')), { usable: false })
  const { path } = await draftOf(scene, bomb.join('\n'))
  t.match(await send(scene)('GET', `${path}/diff`), { status: 200, json: { changes: null, patch: /&h/ } })
})

// proves: policy-draft-bounded
t.test('texts that cannot be kept are refused, and all others come back as they were', async (t) => {
  const scene = await startAdminScene(t)
  const ask = send(scene)
  const long = 'x'.repeat(MOST_DRAFT_TEXT / 2 + 1)
  for (const text of ['a\0b', `${long}${long}`, `😀${'😀'.repeat(MOST_DRAFT_TEXT / 2)}`]) {
    t.match(await ask('POST', '/policy/drafts', { text }), { status: 400, json: { code: 'request_malformed' } })
  }
  for (const message of ['a\0b', 'a\nb', 'x'.repeat(201)]) {
    t.match(await ask('POST', '/policy/drafts', { message }), { status: 400, json: { code: 'request_malformed' } })
  }
  const row = (name: string) => `  - { entraGroup: ${MAPPING[0]?.entraGroup}, groups: [${JSON.stringify(name)}] }\n`
  for (const [index, name] of HOSTILE_NAMES.entries()) {
    const { path } = await draftOf(scene, `groupMapping:\n${row(name)}`)
    t.equal((await ask('GET', path)).json?.['text'], `groupMapping:\n${row(name)}`, `name ${index}`)
    t.match(await ask('POST', `${path}/check`), { status: 200 }, `name ${index}`)
  }
  const most = await draftOf(scene, `#${' '.repeat(MOST_DRAFT_TEXT - 1)}`)
  t.match(await ask('POST', `${most.path}/check`), { json: { usable: true } })
})

t.test('10,000 rows that are all wrong are an answer of a bounded size', async (t) => {
  const scene = await startAdminScene(t)
  const rows = Array.from({ length: 10_000 }, (_, index) => `  - { entraGroup: group-${index}, groups: [A] }`)
  const found = await checked(scene, `groupMapping:\n${rows.join('\n')}\n`)
  t.match(found, { usable: false, problems: [{ line: 2 }, { line: 3 }] })
  t.equal(found.problems.length, 500)
  t.ok(found.count >= 10_000)
})

// proves: policy-drafts-bounded, policy-drafts-swept, policy-previews-swept
t.test('there is a bounded number of drafts, and one that nobody changes is deleted', async (t) => {
  const scene = await startAdminScene(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  await query(
    `insert into policy_drafts (id, text, base, author, changed_by, changed_at)
    select 'drf_' || n, '', 1, 'x', 'x', now() - interval '91 days' from generate_series(1, $1) n`,
    [MOST_DRAFTS],
  )
  await query(`insert into policy_previews (draft, run, draft_hash, policy_hash, state, written_at)
    select 'drf_1', gen_random_uuid(), 'x', 'x', 'done', now() - interval '25 hours'`)
  await query("update policy_drafts set changed_at = now() where id = 'drf_1'")
  t.match(await send(scene)('POST', '/policy/drafts', {}), { status: 409, json: { code: 'policy_drafts_full' } })
  await sweep(scene.gateway.gateway.database, {
    idleTimeoutMs: DAY_MS,
    absoluteTimeoutMs: DAY_MS,
    privilegedTimeoutMs: undefined,
    retentionMs: 400 * DAY_MS,
    isClockConfirmed: true,
    isExported: false,
  })
  t.strictSame(await query('select id from policy_drafts'), [{ id: 'drf_1' }])
  t.strictSame(await query('select draft from policy_previews'), [])
  t.match(await send(scene)('POST', '/policy/drafts', {}), { status: 200 })
})

t.test('drafts are read with gatehouse.policy alone', async (t) => {
  const scene = await startAdminScene(t)
  const { path } = await draftOf(scene, 'requireMappedGroup: true\n')
  for (const address of [path, '/policy/drafts', `${path}/diff`]) {
    t.match(await scene.clients.sam.ask(address), { status: 403, json: { code: 'not_allowed' } }, address)
  }
  for (const address of ['/policy/drafts/drf_none', '/policy/drafts/drf_none/diff', '/policy/drafts/a%00b']) {
    const { status } = await scene.clients.sue.ask(address)
    t.equal(status, address.includes('%00') ? 400 : 404, address)
  }
})

t.test('the preview of a draft: new superusers first, with a hash, for the text as it is now', async (t) => {
  const scene = await startAdminScene(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  await query("insert into groups (name) values ('Night shift')")
  const row = (fields: string) => `groupMapping:\n  - { entraGroup: ${GROUP_IDS.readOnly}, ${fields} }\n`
  const { path, etag } = await draftOf(scene, row('superuser: true, groups: [Night shift, Not there]'))
  const preview = async (wanted = 'done') => {
    let json: Record<string, unknown> | undefined
    await until(async () => {
      json = (await send(scene)('POST', `${path}/preview`)).json
      return json?.['state'] === wanted
    })
    return json as { startedAt: string, draftHash: string, result: PreviewResult }
  }
  const first = await preview()
  t.match(first.result, { newSuperusers: 1, hash: /^[0-9a-f]{64}$/, oldestReading: /Z$/ })
  const [gravest, ...others] = first.result.changes
  t.match(gravest, { superuser: 1, gained: ['Night shift'], userId: /-/ })
  t.ok(others.some(({ superuser }) => superuser === -1), 'Sue would lose it')
  t.match(first.result.counts.find(({ right }) => right === 'superuser'), { gain: 1 })
  t.equal((await preview()).startedAt, first.startedAt, 'it is kept')

  const saved = await send(scene)('PUT', path, { text: row('groups: [Night shift]') }, etag)
  const second = await preview()
  t.match(second.result, { newSuperusers: 0 })
  t.not(second.result.hash, first.result.hash)
  t.match(await send(scene)('PUT', path, { text: 'x: [' }, String(saved.json?.['etag'])), { status: 200 })
  t.match(await send(scene)('POST', `${path}/preview`), { status: 422, json: { code: 'policy_draft_unusable' } })
})

t.test('the preview of a draft lists the requests of the last day that it would decide otherwise', async (t) => {
  const rules = [{ hosts: ['app.test'], allow: 'authenticated' }]
  const scene = await startAdminScene(t, { groupMapping: MAPPING, access: { default: 'deny', rules } })
  const { gateway, clients: { sam } } = scene
  const request = (path: string) =>
    gateway.ask('/oauth2/auth', {
      browser: sam.browser,
      headers: { 'x-original-url': `https://app.test${path}`, 'x-original-method': 'GET' },
    })
  for (const path of ['/a/b/c/d?token=1', '/a/b/c/e', '/z']) await request(path)
  await gateway.gateway.sampling.flush()
  const [{ username = '' } = {}] = await (await connect(t, gateway.databaseUrl))<{ username: string }>(
    'select u.username from users u join sampled_requests s on s.user_id = u.id limit 1',
  )
  const mapping = `groupMapping: ${JSON.stringify(MAPPING)}\n`
  const { path } = await draftOf(
    scene,
    `${mapping}access:
  default: deny
  rules: [{ name: Closed, hosts: [app.test], paths: [/a/**], allow: { groups: [Nobody] } }, { hosts: [app.test],
    allow: authenticated }]
`,
  )
  const json = async () => (await send(scene)('POST', `${path}/preview`)).json
  await until(async () => (await json())?.['state'] === 'done')
  t.match((await json())?.['result'], {
    sampled: {
      compared: 2,
      differing: 1,
      undecided: 0,
      requests: [{
        username,
        host: 'app.test',
        method: 'GET',
        path: '/a/b/c',
        isCut: true,
        count: 2,
        decidedBy: { path: 'access.rules[0]' },
        now: { decision: 'allowed', rule: { path: 'access.rules[0]', name: null } },
        then: { decision: 'refused', rule: { path: 'access.rules[0]', name: 'Closed' } },
      }],
    },
  })
})
