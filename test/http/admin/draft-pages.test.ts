// The pages and forms of drafts of the policy, as a browser without JavaScript sends them, and their files.
import t, { type Test } from 'tap'
import { GROUP_IDS } from '../../../src/demo/people.js'
import { connect } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { draftToDeploy } from './act-scenes.js'
import { formsOf, hiddenOf } from './forms.js'
import { startAdminScene, startDeployedScene, type ApiClient } from './helper.js'

const TEXT =
  `# why\nrequireMappedGroup: true\ngroupMapping:\n  - { entraGroup: ${GROUP_IDS.readOnly}, superuser: true }\n`

async function scene(t: Test) {
  const { gateway, clients } = await startAdminScene(t)
  const { page, send } = formsOf(gateway)
  const { sue } = clients
  /** A draft with this text; its address. */
  const begin = async (text: string, message = '') => {
    const { location } = await send(sue, '/admin/drafts/add', { _csrf: sue.csrfToken, message })
    const at = String(location).replace(/\?.*/, '')
    t.match(at, /^\/admin\/drafts\/drf_[\w-]+$/)
    t.equal((await send(sue, at, { ...await hidden(sue, at), text, message })).status, 303)
    return at
  }
  const hidden = async (client: ApiClient, path: string) => hiddenOf((await page(client, path)).text)
  return { ...clients, gateway, page, send, begin, hidden }
}

t.test('a draft is begun from the page Mapping, saved, looked at, and deleted', async (t) => {
  const { sue, sam, page, send, begin, hidden } = await scene(t)
  for (const path of ['/admin/mapping', '/admin/access', '/admin/versions/1']) {
    t.match((await page(sue, path)).text, 'href="/admin/drafts/add', path)
    t.notMatch((await page(sam, path)).text, '/admin/drafts', `${path}: neither the link nor the navigation`)
  }
  t.match((await page(sue, '/admin/versions/1')).text, 'href="/admin/drafts/add?from=1"')
  t.match((await page(sue, '/admin/drafts')).text, 'There are no drafts.')
  t.equal((await page(sam, '/admin/drafts')).status, 403)

  const at = await begin(TEXT.replaceAll('\n', '\r\n'), 'Night <b>shift</b>')
  t.equal((await page(sam, at)).status, 403)
  t.match((await page(sue, '/admin/drafts')).text, 'Night &#60;b&#62;shift')
  const { text } = await page(sue, at)
  t.match(text, /class="tag good">can be used</)
  t.match(text, '# why\nrequireMappedGroup', 'line ends as they were')
  t.match((await page(sue, `${at}/changes`)).text, /requireMappedGroup[^]*<ins>\+# why/)

  const broken = await send(sue, at, {
    ...await hidden(sue, at),
    text: 'requireMappedGroup: maybe\ndefaultGroups: 7\n',
  })
  t.match(broken, { status: 303, location: `${at}?done=drafts` })
  const found = (await page(sue, at)).text
  t.match(found, /cannot be used[^]*<th scope="row" class="number">1<[^]*<th scope="row" class="number">2</)
  t.match((await page(sue, `${at}/preview`)).text, 'cannot be used as the policy yet')
  t.match((await page(sue, `${at}/changes`)).text, 'only its lines are compared')

  t.equal((await send(sue, `${at}/remove`, await hidden(sue, `${at}/remove`))).status, 400, 'without a reason')
  const removed = await send(sue, `${at}/remove`, { ...await hidden(sue, `${at}/remove`), reason: 'Old' })
  t.match(removed, { status: 303, location: '/admin/drafts?done=drafts-remove' })
  t.equal((await page(sue, at)).status, 404)
})

t.test('who has not seen the last save gets the own text back, with what it would change', async (t) => {
  const { sue, page, send, begin, hidden } = await scene(t)
  const at = await begin(TEXT)
  const seen = await hidden(sue, at)
  t.equal((await send(sue, at, { ...seen, text: `${TEXT}# one\n` })).status, 303)
  const refused = await send(sue, at, { ...seen, text: `${TEXT}# two\n` })
  t.match(refused, {
    status: 412,
    text: /Your text is not saved[^]*<del>-# one[^]*<ins>\+# two[^]*# two\n<\/textarea>/,
  })
  t.match((await page(sue, at)).text, '# one\n</textarea>')
})

t.test('texts that cannot be kept are refused, and markup in them stays text', async (t) => {
  const { sue, page, send, begin, hidden } = await scene(t)
  const at = await begin(TEXT)
  t.match(await send(sue, at, { ...await hidden(sue, at), text: 'a\0b' }), { status: 400 })
  t.match(await send(sue, at, { ...await hidden(sue, at), text: `#${'x'.repeat(1_048_576)}` }), { status: 400 })
  const hostile = '</textarea><script>alert(1)</script>: \u202E\n'
  t.equal((await send(sue, at, { ...await hidden(sue, at), text: hostile })).status, 303)
  for (const path of [at, `${at}/changes`]) t.notMatch((await page(sue, path)).text, '<script>alert', path)
  t.equal((await page(sue, `${at}/policy.yaml`)).text, hostile)
})

t.test('the preview is made by a form, and names who would become superuser', async (t) => {
  const { sue, sam, page, send, begin } = await scene(t)
  const at = await begin(TEXT)
  t.match((await page(sue, `${at}/preview`)).text, 'There is no preview of the draft as it is now.')
  t.equal((await send(sue, `${at}/preview`, { _csrf: sam.csrfToken })).status, 403)
  t.equal((await send(sam, `${at}/preview`, { _csrf: sam.csrfToken })).status, 403)
  t.match(await send(sue, `${at}/preview`, { _csrf: sue.csrfToken }), { status: 200, text: /id="preview"/ })
  t.ok(await until(async () => /would become superuser/.test((await page(sue, `${at}/preview`)).text)))
  t.match((await page(sue, `${at}/preview`)).text, /href="\/admin\/people\/[\w-]{36}"[^]*tag bad">superuser</)
})

t.test('the preview lists requests that would be decided otherwise, and says where a path was cut', async (t) => {
  const { gateway, sue, page, send, begin } = await scene(t)
  const query = await connect(t, gateway.databaseUrl)
  await query(`insert into sampled_requests (key, hour, replica, user_id, host, method, path, is_cut, rule, count)
    select n::text, now(), gen_random_uuid(), null, 'app.test', 'GET', '/<b>/' || n, n = 60, '', n
    from generate_series(1, 60) n`)
  const at = await begin('access: { rules: [{ name: "<i>Open</i>", hosts: [app.test], allow: anyone }] }\n')
  await send(sue, `${at}/preview`, { _csrf: sue.csrfToken })
  t.ok(await until(async () => /60 of 60 different requests/.test((await page(sue, `${at}/preview`)).text)))
  const { text } = await page(sue, `${at}/preview`)
  t.match(text, /GET app\.test\/&#60;b&#62;\/60\/…<[^]*must sign in<[^]*access\.default[^]*allowed<[^]*&#60;i&#62;Open/)
  t.match(text, /One that ends in <code>…<\/code> went on[^]*And 10 more/)
  gateway.reload({ access: { sample: 0 } })
  await send(sue, `${at}/preview`, { _csrf: sue.csrfToken })
  t.ok(await until(async () => /No requests are noted/.test((await page(sue, `${at}/preview`)).text)))
})

/** The tick of a form that applies the policy to everybody who is signed in. */
const APPLIED = / name="apply" value="now" checked>/

t.test('a draft is deployed by a form that shows what was seen, and an earlier version again', async (t) => {
  const admin = await startDeployedScene(t)
  const { gateway, clients: { sue, sam } } = admin
  const { page, send, fill } = formsOf(gateway)
  const query = await connect(t, gateway.databaseUrl)
  const { path } = await draftToDeploy(admin, query, (policy) => ({ ...policy, groupMapping: [] }))
  t.match((await page(sue, `${path.replace('/policy', '/admin')}/deploy`)).text, APPLIED, 'the preview has losses')

  const { location } = await send(sue, '/admin/drafts/add', { _csrf: sue.csrfToken, message: 'Night <b>shift</b>' })
  const at = String(location).replace(/\?.*/, '')
  t.match((await page(sue, at)).text, `href="${at}/deploy"`)
  t.match((await page(sue, `${at}/deploy`)).text, 'There is no preview of the draft as it is now.')
  t.match(await fill(sue, `${at}/deploy`, { message: 'x' }), { status: 400, text: 'There is no preview' })
  t.equal((await page(sam, `${at}/deploy`)).status, 403)

  await send(sue, `${at}/preview`, { _csrf: sue.csrfToken })
  t.ok(await until(async () => /href="#?[^"]*\/preview">the preview</.test((await page(sue, `${at}/deploy`)).text)))
  const form = (await page(sue, `${at}/deploy`)).text
  t.match(form, 'value="Night &#60;b&#62;shift&#60;/b&#62;"')
  t.match(form, 'It replaces <a href="/admin/versions/1">version 1</a>.')
  const wrong = await fill(sue, `${at}/deploy`, { message: 'x', confirm: 'yes', reason: 'x', apply: 'now' })
  t.match(wrong, { status: 400, text: 'value="yes"' })
  t.notMatch(form, APPLIED, 'the preview has no losses')
  t.match(wrong.text, APPLIED, 'as it was sent')
  const gone = await fill(sue, `${at}/deploy`, { message: 'x', reason: 'x', onto: '7' })
  t.match(gone, { status: 409, text: 'Version 1 of the policy is in force now' })
  const done = await fill(sue, `${at}/deploy`, { message: 'Shift', reason: 'x', without: 'a:1, b:2' })
  t.match(done, { status: 303, location: '/admin/versions/2?done=drafts-deploy' })
  t.match((await page(sue, String(done.location))).text, 'The draft is the policy now')
  t.equal((await page(sue, at)).status, 404)

  t.ok(await until(async () => !/\/2\/rollback/.test((await page(sue, '/admin/versions/2')).text)))
  t.match((await page(sue, '/admin/versions/1')).text, 'href="/admin/versions/1/rollback"')
  t.notMatch((await page(sam, '/admin/versions/1')).text, 'rollback')
  t.match((await page(sue, '/admin/versions/1/rollback')).text, 'value="Back to version 1"')
  t.equal((await fill(sue, '/admin/versions/1/rollback', { message: 'Back' })).status, 400, 'without a reason')
  t.match(await fill(sue, '/admin/versions/1/rollback', { message: 'Back', reason: 'It was better.' }), {
    status: 303,
    location: '/admin/versions/3?done=versions-rollback',
  })
})

t.test('where the policy is in the file, pages lead to downloads in place of deploys', async (t) => {
  const { sue, page, begin } = await scene(t)
  const at = await begin(TEXT)
  t.notMatch((await page(sue, at)).text, '/deploy')
  t.notMatch((await page(sue, '/admin/versions/1')).text, '/rollback')
  t.match((await page(sue, `${at}/deploy`)).text, /in the configuration file[^]*policy\.yaml" download/)
  t.match((await page(sue, '/admin/versions/1/rollback')).text, 'in the configuration file')
})

// proves: policy-draft-file-permission, policy-draft-patch-permission
t.test('the files: the text as it was written, and a patch that keeps its comments', async (t) => {
  const { sue, sam, nobody, page, begin } = await scene(t)
  const at = await begin(TEXT)
  const file = await page(sue, `${at}/policy.yaml`)
  t.equal(file.headers.get('content-disposition'), 'attachment; filename="policy.yaml"')
  t.equal(file.text, TEXT)
  t.match((await page(sue, `${at}/policy.patch`)).text, /^--- policy version 1\n\+\+\+ draft drf_.*\n@@[^]*^\+# why$/m)
  for (const path of [`${at}/policy.yaml`, `${at}/policy.patch`]) {
    for (const [client, status] of [[sam, 403], [nobody, 404]] as const) {
      const refused = await page(client, path)
      t.equal(refused.status, status, path)
      t.notMatch(refused.text, '# why', path)
    }
    t.equal((await page(sue, path.replace(/drf_[\w-]+/, 'drf_none'))).status, 404)
  }
})

t.test('another administrator approves a draft, and a rollback, by a form that shows what was seen', async (t) => {
  const admin = await startDeployedScene(t, { admin: { approvals: 1 } })
  const { gateway, clients: { sue, helpdesk } } = admin
  const { page, fill } = formsOf(gateway)
  const query = await connect(t, gateway.databaseUrl)
  await query(`insert into group_permissions (group_id, permission)
    select id, 'gatehouse.policy' from groups where name = 'Helpdesk'`)
  const at = (await draftToDeploy(admin, query)).path.replace('/policy', '/admin')
  t.match((await page(sue, at)).text, /0 of 1 that are needed\.[^]*No administrator has approved it\./)
  t.match((await page(sue, at)).text, `href="${at}/approve"`)
  t.match(await fill(sue, `${at}/approve`, {}), { status: 400, text: 'another administrator must approve it' })
  const missing = { status: 409, text: /1 more approval is needed \(admin\.approvals: 1\)/ }
  t.match(await fill(sue, `${at}/deploy`, { message: 'x', reason: 'x' }), missing)

  t.match((await page(helpdesk, `${at}/approve`)).text, 'You say that this may replace <a href="/admin/versions/1">')
  t.match(await fill(helpdesk, `${at}/approve`, { onto: '7' }), { status: 409, text: 'Version 1 of the policy is in' })
  const done = await fill(helpdesk, `${at}/approve`, {})
  t.match(done, { status: 303, location: `${at}?done=drafts-approve` })
  t.match((await page(sue, at)).text, /1 of 1 that are needed\.[^]*class="tag good">counts</)
  t.match(await fill(sue, `${at}/deploy`, { message: 'x', reason: 'x' }), { status: 303 })

  t.ok(await until(async () => /1\/approve"/.test((await page(sue, '/admin/versions/1')).text)))
  const back = '/admin/versions/1/rollback'
  t.match(await fill(helpdesk, back, { message: 'x', reason: 'x' }), missing)
  t.equal((await fill(sue, '/admin/versions/1/approve', {})).location, '/admin/versions/1?done=versions-approve')
  t.match((await page(sue, back)).text, /1 of 1 that are needed\./)
  t.match(await fill(helpdesk, back, { message: 'x', reason: 'x' }), { status: 303 })
})

t.test('the page of a version says how far it is applied, and applies the one in force', async (t) => {
  const { gateway, clients: { sue } } = await startDeployedScene(t)
  const { page, send, fill } = formsOf(gateway)
  const query = await connect(t, gateway.databaseUrl)
  const at = '/admin/versions/1'
  t.match(
    (await page(sue, at)).text,
    /href="\/admin\/versions\/1\/apply"[^]*was not applied to those who are signed in/,
  )
  t.equal((await fill(sue, `${at}/apply`, {})).status, 400, 'without a reason')
  t.match(await fill(sue, `${at}/apply`, { reason: 'Now' }), { status: 303, location: `${at}?done=versions-apply` })
  t.ok(await until(async () => /class="tag good">done</.test((await page(sue, at)).text)))
  const shown = async (changed: string) => {
    await query(`update policy_applications set ${changed}`)
    return (await page(sue, at)).text
  }
  const runner = "'host:4180 ' || gen_random_uuid()"
  const running = await shown(`state = 'running', done = 7, total = 9, runner = ${runner}, written_at = now()`)
  t.match(
    running,
    /max="9" value="7"[^]*7 of about 9[^]*hx-get="\/admin\/versions\/1"[^]*Done by<\/dt><dd><bdi>host:4180</,
  )
  const lost = await shown("runner = null, pass = 'losses'")
  t.match(lost, /First pass, who loses something[^]*a replica goes on within half a minute/)
  t.match(await shown("state = 'done', failed = 2"), '2 users could not be mapped: apply the version again.')
  t.match(await shown("state = 'replaced'"), 'Another version came into force before its end.')
  t.equal((await send(sue, '/admin/versions/9/apply', { _csrf: sue.csrfToken })).status, 404)
})
