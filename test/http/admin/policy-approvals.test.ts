// Approvals of deploys and rollbacks at the API: who gives them, when they fall, and what they allow.
import t, { type Test } from 'tap'
import type { Query } from '../../helpers/sql.js'
import { inForce, previewOf, versionWith, withRow } from './act-scenes.js'
import { deployScene, lastRow, post, slowReplica, type Draft } from './deploy-scene.js'
import { HELPDESK, PEOPLE, type ApiAnswer, type ApiClient } from './helper.js'
import { giveToken } from './token-client.js'

/** Gus and Sam have gatehouse.policy. */
async function approvalScene(t: Test, approvals: number) {
  const scene = await deployScene(t, { admin: { approvals } })
  const { query, clients: { sam } } = scene
  await scene.trustGus()
  await query(
    `insert into user_groups (user_id, group_id) select i.user_id, g.id from identities i, groups g
    where i.oid = $1 and g.name = $2`,
    [PEOPLE.sam, HELPDESK],
  )
  const approve = async ({ path, ifMatch, body: { onto, preview } }: Draft, by: ApiClient, changed: object = {}) =>
    await post(by, `${path}/approve`, { onto, preview, ...changed }, ifMatch)
  const approveRollback = async (number: number, by: ApiClient) =>
    await post(by, `/policy/versions/${number}/approve`, { onto: await inForce(query) })
  const statesOf = async (path: string): Promise<readonly string[]> =>
    ((await scene.sue.ask(path)).json?.['approvals'] as readonly { state: string }[]).map(({ state }) => state)
  return { ...scene, sam, approve, approveRollback, statesOf }
}

async function save({ path, ifMatch }: Draft, text: string, by: ApiClient): Promise<string> {
  const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': by.csrfToken, 'if-match': ifMatch }
  const { json } = await by.ask(path, { method: 'PUT', headers, body: { text } })
  return String(json?.['etag'])
}

async function userId(query: Query, who: keyof typeof PEOPLE): Promise<string> {
  const [row] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [PEOPLE[who]])
  return row?.id ?? ''
}

const isMissing = (missing: number) => ({ status: 409, json: { code: 'policy_approvals_missing', missing } })
const isRefused = (code: string) => ({ status: 403, json: { code } })

t.test('a deploy needs as many approvals of others as admin.approvals says', async (t) => {
  const { query, sue, gus, sam, begin, deploy, approve, statesOf } = await approvalScene(t, 2)
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  t.match(await deploy(draft), isMissing(2), 'also of a superuser')
  t.match(await approve(draft, gus), { status: 200, json: { given: 1, needed: 2 } })
  t.match(await lastRow(query, 'policy.approved'), {
    draft: /^drf_/,
    hash: /^[0-9a-f]{64}$/,
    replaced: 1,
    replacedHash: /^[0-9a-f]{64}$/,
    preview: draft.body.preview,
    by: { session: /^ses_/ },
  })
  t.match(await approve(draft, gus), { status: 200, json: { given: 1 } }, 'again: it is the same approval')
  t.match(await deploy(draft), isMissing(1))
  t.match(await approve(draft, sam), { status: 200, json: { given: 2 } })
  t.match((await sue.ask(draft.path)).json, {
    approvalsNeeded: 2,
    approvals: [{ approverId: await userId(query, 'helpdesk'), at: /Z$/, state: 'counts' }, { state: 'counts' }],
  })
  t.strictSame(await statesOf(draft.path), ['counts', 'counts'])
  t.match(await deploy(draft), { status: 200, json: { number: 2 } })
  const approvals = [`admin:${await userId(query, 'helpdesk')}`, `admin:${await userId(query, 'sam')}`]
  t.match(await lastRow(query, 'policy.deployed'), { version: 2, approvals })
  t.strictSame(await query('select id from policy_approvals'), [], 'they are gone with the deploy')
})

// proves: policy-approve-own, policy-editor-of-token
t.test('who has ever saved a draft does not approve it, by themselves or by a token', async (t) => {
  const opened = await approvalScene(t, 1)
  const { query, sue, gus, sam, begin, deploy, approve, statesOf } = opened
  const draft = await begin(withRow({ groups: ['Read Only'] }), gus)
  t.match(await approve(draft, gus), isRefused('policy_own_draft'), 'who began it')
  const { json } = await sue.ask(draft.path)
  const bySue = { ...draft, ifMatch: await save(draft, `${String(json?.['text'])}# one\n`, sue) }
  t.match(await approve(bySue, gus), isRefused('policy_own_draft'), 'an earlier editor')
  t.match(await approve(bySue, sue), isRefused('policy_own_draft'))
  t.match(await lastRow(query, 'act.refused'), { code: 'policy_own_draft' })

  t.match(await approve(bySue, sam), { status: 200, json: { given: 1 } })
  const token = await giveToken(opened, query, 'helpdesk', ['gatehouse.policy'])
  await query('update tokens set created_by = $1', [`admin:${await userId(query, 'sam')}`])
  const headers = { 'if-match': bySue.ifMatch }
  const put = { method: 'PUT', headers, body: { text: `${String(json?.['text'])}# two\n` } }
  const byToken = { ...draft, ifMatch: String((await token.ask(draft.path, put)).json?.['etag']) }
  t.strictSame(await statesOf(draft.path), ['editor'], 'who has made the token knows it')
  t.match(await deploy(byToken), isMissing(1))
  t.match(await approve(byToken, sam), isRefused('policy_own_draft'))
})

t.test('an approval is of the text, the preview and the version in force that were seen', async (t) => {
  const { query, sue, gus, begin, deploy, approve, statesOf } = await approvalScene(t, 1)
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  t.match(await approve(draft, gus, { onto: 7 }), { status: 409, json: { code: 'policy_changed' } })
  const other = { preview: '0'.repeat(64) }
  t.match(await approve(draft, gus, other), { status: 409, json: { code: 'policy_preview_stale' } })
  t.strictSame(await query('select id from policy_approvals'), [])

  t.equal((await approve(draft, gus)).status, 200)
  const text = 'access: { default: authenticated }\n'
  const changed = { ...draft, ifMatch: await save(draft, text, sue) }
  t.strictSame(await statesOf(draft.path), ['text_changed'])
  t.match(await approve(draft, gus), { status: 412, json: { code: 'version_stale' } })
  const body = { ...changed.body, preview: await previewOf(sue, draft.path), confirm: 'no superuser' }
  t.match(await deploy({ ...changed, body }), isMissing(1), 'of another text')
  t.equal((await approve({ ...changed, body }, gus)).status, 403, 'it takes superusers away')

  const [one, two] = [await begin(withRow({ groups: ['Read Only'] })), await begin(withRow({ groups: [HELPDESK] }))]
  t.equal((await approve(one, gus)).status, 200)
  t.equal((await approve(two, gus)).status, 200)
  await query("update policy_approvals set preview = repeat('0', 64) where draft = $1", [one.path.split('/').at(-1)])
  t.strictSame(await statesOf(one.path), ['preview_changed'])
  t.match(await deploy(one), isMissing(1), 'of another preview')
  t.equal((await deploy(two)).status, 200)
  t.strictSame(await statesOf(one.path), [], 'another version is in force')
})

// proves: policy-approver-active
t.test('the approver must still have the rights when it is deployed', async (t) => {
  const opened = await approvalScene(t, 1)
  const { query, gus, sam, begin, deploy, approve, statesOf } = opened
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  t.equal((await approve(draft, gus)).status, 200)
  await query('update users set is_active = false where id = $1', [await userId(query, 'helpdesk')])
  t.strictSame(await statesOf(draft.path), ['rights_lost'])
  t.match(await deploy(draft), isMissing(1), 'an inactive user')

  t.equal((await approve(draft, sam)).status, 200)
  const slow = await slowReplica(opened)
  const answer = deploy(draft)
  t.ok(await slow.isAsked())
  await query("delete from group_permissions where permission = 'gatehouse.policy'")
  await slow.answer(null)
  t.match(await answer, isMissing(1), 'rights that were taken away while the replicas tried it')
  t.equal(await inForce(query), 1)
})

// proves: policy-approve-ceiling, policy-approval-superuser, policy-approval-by-token
t.test('a superuser who approves lets others deploy what superusers alone may change', async (t) => {
  const opened = await approvalScene(t, 1)
  const { query, sue, gus, sam, begin, deploy, approve } = opened
  const draft = await begin(withRow({ staff: true }), gus)
  t.match(await deploy(draft, {}, gus), isRefused('above_own_rights'))
  t.match(await approve(draft, sam), isRefused('above_own_rights'), 'who may not deploy it approves nothing')
  t.match(await approve(draft, sue), { status: 200, json: { given: 1 } })
  const token = { ...gus, ask: (await giveToken(opened, query, 'helpdesk', ['gatehouse.policy'])).ask }
  t.match(await deploy(draft, {}, token), isRefused('above_own_rights'), 'not by a program')
  t.match(await deploy(draft, {}, gus), { status: 200, json: { number: 2 } })
})

t.test('without admin.approvals too', async (t) => {
  const { sue, gus, sam, begin, deploy, approve, rollback, approveRollback } = await approvalScene(t, 0)
  const draft = await begin(withRow({ staff: true }), gus)
  t.match(await deploy(draft, {}, gus), isRefused('above_own_rights'))
  t.match(await approve(draft, sue), { status: 200, json: { given: 1, needed: 0 } })
  t.match(await deploy(draft, {}, gus), { status: 200, json: { number: 2 } })
  t.match(await rollback(1, {}, sam), { status: 200, json: { number: 3 } }, 'it takes the flag staff alone')
  t.match(await rollback(2, {}, sam), isRefused('above_own_rights'))
  t.match(await approveRollback(2, gus), isRefused('above_own_rights'))
  t.match(await approveRollback(2, sue), { status: 200 })
  t.match(await rollback(2, {}, sam), { status: 200, json: { number: 4 } })
})

// proves: policy-rollback-approver
t.test('a rollback needs approvals of others than the one who rolls back', async (t) => {
  const { query, sue, gus, begin, deploy, approve, rollback, approveRollback, statesOf } = await approvalScene(t, 1)
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  await approve(draft, gus)
  t.equal((await deploy(draft)).status, 200)
  t.match(await rollback(1), isMissing(1))
  t.match(await approveRollback(1, sue), { status: 200, json: { given: 1, needed: 1 } })
  t.match(await lastRow(query, 'policy.approved'), { rollback: 1, replaced: 2, hash: /^[0-9a-f]{64}$/ })
  t.match(await rollback(1), isMissing(1), 'the approval of the one who rolls back')
  t.strictSame(await statesOf('/policy/versions/1'), ['counts'])
  const other = await versionWith(query, withRow({ groups: ['Read Only'] }))
  t.match(await rollback(other, {}, gus), isMissing(1), 'to another version')
  t.match(await rollback(1, {}, gus), { status: 200, json: { replaced: 2 } })
  t.match(await lastRow(query, 'policy.deployed'), { rollback: 1, approvals: [`admin:${await userId(query, 'sue')}`] })
})

// proves: token-deploy-approved
t.test('API tokens deploy what others have approved, and approve nothing', async (t) => {
  const opened = await approvalScene(t, 1)
  const { query, gus, begin, deploy, approve } = opened
  const draft = await begin(withRow({ groups: ['Read Only'] }))
  const token: ApiClient = { ...gus, ask: (await giveToken(opened, query, 'sue', ['gatehouse.policy'])).ask }
  const never: Partial<ApiAnswer> = isRefused('not_by_token')
  t.match(await approve(draft, token), never)
  t.match(await post(token, '/policy/versions/1/approve', { onto: 1 }), never)
  t.match(await deploy(draft, {}, token), isMissing(1))
  t.equal((await approve(draft, gus)).status, 200)
  t.match(await deploy(draft, {}, token), { status: 200, json: { number: 2 } })
})
