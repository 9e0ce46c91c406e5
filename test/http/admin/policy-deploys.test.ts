// Deploys and rollbacks of the policy at the API: what the administrator must have seen, what is above their rights,
// and what becomes of a replica that refuses.
import t from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../../src/demo/people.js'
import { connect } from '../../helpers/sql.js'
import { TARGET } from '../../helpers/targets.js'
import { until } from '../../helpers/until.js'
import { inForce, previewOf, versionWith, withRow } from './act-scenes.js'
import { deployScene, lastRow, post, slowReplica, type Policy } from './deploy-scene.js'
import { HELPDESK, startAdminScene, type ApiClient } from './helper.js'
import { giveToken } from './token-client.js'

type Row = Readonly<{ entraGroup: string, superuser?: boolean }>

const withoutSuperusers = (policy: Policy): Policy => ({
  ...policy,
  groupMapping: (policy['groupMapping'] as readonly Row[]).filter(({ superuser }) => superuser !== true),
})

t.test('a draft becomes the policy on every replica, with its preview in the record, and is gone', async (t) => {
  const { gateway, query, sue, begin, deploy } = await deployScene(t)
  const draft = await begin(withRow({ groups: ['Circuit Manager'] }))
  const { preview } = draft.body
  const answer = await deploy(draft)
  t.match(answer, { status: 200, json: { number: 2, replaced: 1, hash: /^[0-9a-f]{64}$/, replicas: [/:\d+$/] } })
  t.match(await sue.ask(draft.path), { status: 404, json: { code: 'policy_draft_unknown' } })
  t.match((await sue.ask('/policy/versions/2')).json, {
    source: 'database',
    author: /^admin:[\w-]{36}$/,
    message: 'Circuits',
    hash: answer.json?.['hash'],
  })
  t.match(await lastRow(query, 'policy.deployed'), {
    version: 2,
    hash: answer.json?.['hash'],
    replaced: 1,
    replacedHash: /^[0-9a-f]{64}$/,
    preview,
    draft: /^drf_/,
    message: 'Circuits',
    reason: 'The laptop was lost',
    by: { session: /^ses_/, address: '127.0.0.1' },
  })
  const isInForce = async () => ((await sue.ask('/policy')).json?.['mapping'] as unknown[]).length === 6
  t.ok(await until(isInForce))
  t.equal((await gateway.ask('/oauth2/auth')).status, 401, 'it answers all the time')
})

// proves: policy-preview-seen
t.test('a deploy is of the draft, the preview and the version in force that were seen', async (t) => {
  const { query, sue, begin, deploy } = await deployScene(t)
  const is = async (answer: ReturnType<typeof deploy>, status: number, code: string, what: string) => {
    t.match(await answer, { status, json: { code } }, what)
    t.equal(await inForce(query), 1, `${what}: no version is added`)
  }
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  await is(deploy(draft, { preview: '0'.repeat(64) }), 409, 'policy_preview_stale', 'another preview')
  await is(deploy(draft, { preview: 'x' }), 400, 'request_malformed', 'no hash')
  await is(deploy(draft, { onto: 7 }), 409, 'policy_changed', 'another version')
  await is(deploy(draft, { confirm: 'yes' }), 400, 'request_malformed', 'something else typed')
  await is(deploy(draft, { message: '' }), 400, 'request_malformed', 'no message')
  await query("update policy_previews set written_at = now() - interval '61 minutes'")
  await is(deploy(draft), 409, 'policy_preview_stale', 'a preview of an hour ago')
  await query('update policy_previews set written_at = now()')

  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken, 'if-match': draft.ifMatch }
  const saved = await sue.ask(draft.path, { method: 'PUT', headers, body: { text: 'access: { default: deny }\n' } })
  await is(deploy(draft), 412, 'version_stale', 'the draft was saved meanwhile')
  const ifMatch = String(saved.json?.['etag'])
  await is(deploy({ ...draft, ifMatch }), 409, 'policy_preview_stale', 'its preview is of another text')
  const broken = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken, 'if-match': ifMatch }
  const put = await sue.ask(draft.path, { method: 'PUT', headers: broken, body: { text: 'access: 7' } })
  const unusable = { ...draft, ifMatch: String(put.json?.['etag']) }
  await is(deploy(unusable), 422, 'policy_draft_unusable', 'a text that cannot be the policy')
})

/** Without the rows that give this group. */
const withoutGroup = (name: string) => (policy: Policy): Policy => ({
  ...policy,
  groupMapping: (policy['groupMapping'] as readonly (Row & { groups?: string[] })[]).filter(({ groups }) =>
    groups?.includes(name) !== true
  ),
})

t.test('with apply, those who are signed in have the new rights immediately', async (t) => {
  const { gateway, query, begin, deploy, rollback } = await deployScene(t)
  const max = await gateway.signIn(PERSON_IDS.many)
  const groups = async () =>
    (await max.browser.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).headers.get('x-auth-request-groups')
  const before = await groups()
  t.match(before, /Circuit Manager/)
  t.match(await deploy(await begin(withoutGroup('Circuit Manager')), { apply: 'now' }), {
    status: 200,
    json: { number: 2 },
  })
  t.ok(await until(async () => !/Circuit Manager/.test(String(await groups()))), 'without a sign-in')
  t.match(await lastRow(query, 'reevaluation'), { version: 2 })
  t.match(await rollback(1), { status: 200, json: { number: 3 } })
  t.notMatch(await groups(), /Circuit Manager/, 'without apply, not before the next sign-in')
  t.match(await rollback(1, { apply: 'now' }), { status: 200, json: { number: 4 } })
  t.ok(await until(async () => await groups() === before))
  t.match(await rollback(1, { apply: 'soon' }), { status: 400, json: { code: 'request_malformed' } })
})

// proves: policy-apply-in-force
t.test('the version in force is applied by an act of its own, and says how far that is', async (t) => {
  const { gateway, query, sue, begin, deploy } = await deployScene(t)
  const max = await gateway.signIn(PERSON_IDS.many)
  const groups = async () =>
    (await max.browser.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).headers.get('x-auth-request-groups')
  const version = async (number: number) => (await sue.ask(`/policy/versions/${number}`)).json
  t.equal((await deploy(await begin(withoutGroup('Circuit Manager')))).status, 200)
  t.match(await groups(), /Circuit Manager/)
  t.match(await version(2), { application: null })
  const apply = async (number: number, body: object) => await post(sue, `/policy/versions/${number}/apply`, body)
  t.match(await apply(1, { reason: 'Now' }), { status: 409, json: { code: 'policy_changed' } })
  t.match(await apply(2, {}), { status: 400 })
  t.match(await apply(2, { reason: 'They have left.' }), { status: 200, json: { version: 2 } })
  t.match(await lastRow(query, 'policy.apply'), { version: 2, reason: 'They have left.', by: { session: /^ses_/ } })
  t.ok(await until(async () => !/Circuit Manager/.test(String(await groups()))), 'by a replica, without a sign-in')
  const isDone = async () => (await version(2))?.['application'] as { state: string } | null
  t.ok(await until(async () => (await isDone())?.state === 'done'))
  t.match(await isDone(), {
    pass: 'rest',
    failed: 0,
    actor: /^admin:/,
    runner: null,
    startedAt: /Z$/,
    endedAt: /Z$/,
  })
  t.ok((await isDone() as unknown as { losses: number }).losses > 0)
})

// proves: policy-act-reason
t.test('a reason is needed where the preview has losses', async (t) => {
  const { begin, deploy } = await deployScene(t)
  const draft = await begin((policy) => ({
    ...policy,
    groupMapping: (policy['groupMapping'] as readonly Row[]).filter(({ entraGroup }) =>
      entraGroup !== GROUP_IDS.readOnly
    ),
  }))
  const answer = await deploy(draft, { reason: undefined })
  t.match(answer, { status: 400, json: { code: 'request_malformed', detail: /lose[s]? .*right.*reason/ } })
  t.equal((await deploy(draft)).status, 200)
})

t.test('a rollback deploys the text of an earlier version again, as a new one', async (t) => {
  const { query, begin, deploy, rollback } = await deployScene(t)
  await deploy(await begin(withRow({ groups: ['Read Only'] })))
  t.match(await rollback(1, { onto: 1 }), { status: 409, json: { code: 'policy_changed', detail: /^Version 2 / } })
  t.match(await rollback(9), { status: 404, json: { code: 'policy_version_unknown' } })
  t.match(await rollback(1, { reason: undefined }), { status: 400 })
  const old = await versionWith(query, (policy) => ({ ...policy, requireMappedGroup: 'perhaps' }))
  t.match(await rollback(old), { status: 422, json: { code: 'policy_version_unusable' } })
  t.equal(await inForce(query), 2)
  t.match(await rollback(1), { status: 200, json: { number: 4, replaced: 2 } })
  t.match(await lastRow(query, 'policy.deployed'), { version: 4, rollback: 1, reason: 'It was better.', replaced: 2 })
})

// proves: policy-act-ceiling
t.test('an administrator with gatehouse.policy deploys what gives nothing that they lack', async (t) => {
  const { query, gus, begin, deploy, rollback, trustGus } = await deployScene(t)
  await trustGus()
  await query("insert into groups (name) values ('Key keepers')")
  await query(`insert into group_permissions (group_id, permission)
    select id, 'gatehouse.keys' from groups where name = 'Key keepers'`)
  const refused = async (change: (policy: Policy) => unknown, what: string) => {
    t.match(await deploy(await begin(change), {}, gus), { status: 403, json: { code: 'above_own_rights' } }, what)
    const old = await versionWith(query, change)
    t.match(await rollback(old, {}, gus), { status: 403, json: { code: 'above_own_rights' } }, `rollback: ${what}`)
    t.equal(await inForce(query), 1, what)
  }
  await refused(withRow({ superuser: true }), 'superuser')
  await refused(withRow({ staff: true }), 'staff')
  await refused(withRow({ groups: ['Key keepers'] }), 'a permission of the console, by a row')
  await refused((policy) => ({ ...policy, defaultGroups: ['Key keepers'] }), 'by default')
  await refused(withoutSuperusers, 'superusers lose it')
  await refused((policy) => ({ ...policy, username: 'email' }), 'username')
  await refused((policy) => ({ ...policy, associateByEmail: true }), 'associateByEmail')
  await refused((policy) => ({ ...policy, headers: { maxBytes: 1024 } }), 'headers')
  t.match(await lastRow(query, 'act.refused'), { code: 'above_own_rights', by: { session: /^ses_/ } })
  t.equal((await deploy(await begin(withRow({ groups: [HELPDESK] })), {}, gus)).status, 200, 'what they hold')
})

t.test('superusers are taken away by superusers who type that none is left', async (t) => {
  const { begin, deploy } = await deployScene(t)
  const draft = await begin(withoutSuperusers)
  const answer = await deploy(draft)
  t.match(answer, { status: 409, json: { code: 'policy_no_superuser', detail: /you would not be a superuser/ } })
  t.equal((await deploy(draft, { confirm: 'no superuser' })).status, 200)
})

t.test('a replica that refuses is named, and nothing changes', async (t) => {
  const opened = await deployScene(t)
  const { query, sue, begin, deploy } = opened
  const draft = await begin()
  const slow = await slowReplica(opened)
  const answer = deploy(draft)
  t.ok(await slow.isAsked())
  await slow.answer('it has no step own.js')
  t.match(await answer, { status: 409, json: { code: 'policy_replica_refused', detail: /slow:1 .* no step own\.js/ } })
  t.equal(await inForce(query), 1)
  t.equal((await sue.ask(draft.path)).status, 200, 'the draft is there')
  t.strictSame(await query('select id from policy_trials'), [])
})

t.test('who loses the permission while the replicas try the policy deploys nothing', async (t) => {
  const opened = await deployScene(t)
  const { query, gus, begin, deploy, trustGus } = opened
  await trustGus()
  const draft = await begin()
  const slow = await slowReplica(opened)
  const answer = deploy(draft, {}, gus)
  t.ok(await slow.isAsked())
  await query("delete from group_permissions where permission = 'gatehouse.policy'")
  await slow.answer(null)
  t.match(await answer, { status: 403, json: { code: 'not_allowed' } })
  t.equal(await inForce(query), 1)
})

// proves: policy-act-turn-first
t.test('a deploy does not lock who deploys while it waits for what is being written', async (t) => {
  const { gateway, query, begin, deploy } = await deployScene(t)
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  const writer = await connect(t, gateway.databaseUrl)
  await writer("begin; select pg_advisory_xact_lock_shared(hashtextextended('gatehouse policy', 0))")
  const answer = deploy(draft)
  const waits = `select 1 from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and locktype = 'advisory' and not granted`
  t.ok(await until(async () => (await query(waits)).length > 0))
  await writer('select 1 from users where is_superuser for update nowait')
  await writer('commit')
  t.equal((await answer).status, 200)
})

t.test('of two deploys over the same version one is refused', async (t) => {
  const { query, begin, deploy } = await deployScene(t)
  const drafts = [await begin(withRow({ groups: ['Read Only'] })), await begin(withRow({ groups: ['NetBox Admins'] }))]
  const answers = await Promise.all(drafts.map((draft) => deploy(draft)))
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 409])
  t.equal(await inForce(query), 2)
})

// proves: token-deploy, token-no-confirmation
t.test('API tokens deploy where admin.tokenDeploy says so, within their own rights, and confirm nothing', async (t) => {
  for (const tokenDeploy of [false, true]) {
    const opened = await deployScene(t, { admin: { tokenDeploy } })
    const { query, begin, deploy } = opened
    const by = async (...scopes: string[]): Promise<ApiClient> => ({
      ...opened.sue,
      ask: (await giveToken(opened, query, 'sue', scopes)).ask,
    })
    const token = await by('gatehouse.policy')
    const draft = await begin(withRow({ groups: ['Read Only'] }))
    const never = { status: 403, json: { code: 'not_by_token' } }
    const back = { message: 'x', onto: 1, reason: 'x' }
    t.match(await post(token, '/policy/versions/1/rollback', back), never, 'never a rollback')
    t.match(await deploy(draft, { confirm: 'no superuser' }, token), never, 'never a confirmation')
    if (!tokenDeploy) t.match(await deploy(draft, {}, token), never)
    else {
      t.match(await deploy(draft, {}, await by('gatehouse.keys')), { status: 403, json: { code: 'not_allowed' } })
      const above = await begin(withRow({ staff: true }))
      t.match(await deploy(above, {}, token), { status: 403, json: { code: 'above_own_rights' } }, 'of a superuser too')
      t.match(await deploy(draft, {}, token), { status: 200, json: { number: 2 } })
      t.match(await lastRow(query, 'policy.deployed'), { by: { token: /^tok_/ } })
    }
    t.equal(await inForce(query), tokenDeploy ? 2 : 1)
  }
})

// proves: policy-act-source
t.test('where the policy is in the file, neither is possible', async (t) => {
  const admin = await startAdminScene(t)
  const { clients: { sue } } = admin
  const { json } = await post(sue, '/policy/drafts', {})
  const path = `/policy/drafts/${String(json?.['id'])}`
  const body = { message: 'x', onto: 1, preview: await previewOf(sue, path) }
  const refused = { status: 409, json: { code: 'policy_source_file' } }
  t.match(await post(sue, `${path}/deploy`, body, String(json?.['etag'])), refused)
  t.match(await post(sue, '/policy/versions/1/rollback', { message: 'x', onto: 1, reason: 'x' }), refused)
})
