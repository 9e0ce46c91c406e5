// Versions of the policy in file mode: a replica adds what it has loaded; the API, the pages, the files and the
// commands show it.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import t, { type Test } from 'tap'
import { findingsAbout } from '../../../src/policy-record.js'
import { startTestGateway, MAPPING } from '../../helpers/gateway.js'
import { connect, withoutTriggers } from '../../helpers/sql.js'
import { until } from '../../helpers/until.js'
import { startAdminScene, type AdminScene, type Who } from './helper.js'

const [first, second, ...others] = MAPPING

async function versionsOf({ clients }: AdminScene, who: Who = 'sue') {
  const { json } = await clients[who].ask('/policy/versions')
  return json?.['items'] as { number: number, hash: string, replicas: string[], parent: number | null }[]
}

const count = (scene: AdminScene, expected: number) => until(async () => (await versionsOf(scene)).length === expected)

/** A gateway that has run two policies: the second row was taken away in the second one. */
async function twoVersions(t: Test): Promise<AdminScene> {
  const scene = await startAdminScene(t, { groupMapping: MAPPING })
  t.ok(await count(scene, 1))
  scene.gateway.reload({ groupMapping: [first, ...others] })
  t.ok(await count(scene, 2))
  return scene
}

t.test('each policy that a replica loads is one version, with the one before as its parent', async (t) => {
  const scene = await twoVersions(t)
  t.ok(await until(async () => (await versionsOf(scene))[0]?.replicas.length === 1), 'the replica runs the newest')
  const [newest, oldest] = await versionsOf(scene)
  t.match([newest, oldest], [
    { number: 2, parent: 1, source: 'file', author: /^replica:/, gains: null, losses: null },
    { number: 1, parent: null, replicas: [] },
  ])
  const query = await connect(t, scene.gateway.databaseUrl)
  t.match(await query("select actor, detail from audit_events where action = 'policy.loaded' order by id"), [
    { actor: /^replica:/, detail: { version: 1, parent: null } },
    { actor: /^replica:/, detail: { version: 2, parent: 1 } },
  ])
  scene.gateway.reload({ groupMapping: MAPPING })
  t.ok(await until(async () => (await versionsOf(scene))[1]?.replicas.length === 1), 'it runs the first one again')
  t.equal((await versionsOf(scene)).length, 2, 'which is no new version')
})

t.test('several replicas that load one file add one version', async (t) => {
  const { databaseUrl, gateway } = await startTestGateway(t)
  await startTestGateway(t, { databaseUrl })
  const query = await connect(t, databaseUrl)
  const running = async () => (await query('select name from replicas where policy = 1')).length
  t.ok(await until(async () => await running() === 2))
  t.match(await query('select number from policy_versions'), [{ number: 1 }])
  t.ok(gateway)
})

t.test('a version that the database has lost is added again, with a higher number', async (t) => {
  const scene = await twoVersions(t)
  const query = await connect(t, scene.gateway.databaseUrl)
  await query(withoutTriggers('delete from policy_versions where number = 2'))
  scene.gateway.reload({ groupMapping: [second] })
  t.ok(await until(async () => (await versionsOf(scene))[0]?.number === 3), 'not the number that others may know')
})

t.test('versions are not changed and not deleted', async (t) => {
  const scene = await startAdminScene(t)
  t.ok(await count(scene, 1))
  const query = await connect(t, scene.gateway.databaseUrl)
  for (
    const statement of [
      "update policy_versions set text = 'x'",
      'delete from policy_versions',
      'truncate policy_versions',
    ]
  ) {
    await t.rejects(query(statement), { message: /not changed and not deleted/ }, statement)
  }
})

t.test('the API: one version, and what differs between two', async (t) => {
  const scene = await twoVersions(t)
  const { sam } = scene.clients
  const { json: version, headers } = await sam.ask('/policy/versions/1')
  t.match(version?.['text'], second?.entraGroup)
  t.match(headers, { etag: /^"/ })
  const { json: diff } = await sam.ask('/policy/diff?from=1')
  t.match(diff, { from: { number: 1 }, to: { number: 2 }, changes: [{ path: 'groupMapping', after: null }] })
  t.match(diff?.['patch'], new RegExp(`^-.*${second?.entraGroup}`, 'm'))
  for (const path of ['/policy/versions/77', '/policy/diff?from=1&to=77']) {
    t.match(await sam.ask(path), { status: 404, json: { code: 'policy_version_unknown' } }, path)
  }
  for (const path of ['/policy/versions/0', '/policy/versions/x', '/policy/diff', '/policy/versions/2147483648']) {
    t.match(await sam.ask(path), { status: 400 }, path)
  }
  t.match(await scene.clients.nobody.ask('/policy/versions'), { status: 404 })
})

// proves: admin-version-file-permission, admin-version-patch-permission
t.test('the files: the policy as it was written, and the patch', async (t) => {
  const scene = await twoVersions(t)
  const { gateway, clients } = scene
  const get = async (path: string, who: Who) => await gateway.ask(path, { browser: clients[who].browser })
  const file = await get('/admin/versions/1/policy.yaml', 'sam')
  t.equal(file.headers.get('content-disposition'), 'attachment; filename="policy-1.yaml"')
  t.match(file.text, second?.entraGroup)
  const patch = await get('/admin/versions/diff.patch?from=1&to=2', 'sam')
  t.match(patch.text, /^--- policy version 1\n\+\+\+ policy version 2\n/m)
  for (const path of ['/admin/versions/1/policy.yaml', '/admin/versions/diff.patch?from=1&to=2']) {
    const refused = await get(path, 'nobody')
    t.equal(refused.status, 404, path)
    t.notMatch(refused.text, second?.entraGroup, path)
  }
  t.match(await get('/admin/versions/9/policy.yaml', 'sam'), { status: 404 })
})

t.test('the pages name the replica, the change and the line', async (t) => {
  const { gateway, clients: { sam: { browser } } } = await twoVersions(t)
  const page = async (path: string) => (await gateway.ask(path, { browser })).text
  t.match(await page('/admin/versions'), /href="\/admin\/versions\/2"[^]*with 1</)
  t.match(await page('/admin/versions/1'), new RegExp(`<pre>[^]*${second?.entraGroup}`))
  t.match(await page('/admin/versions/diff?from=1&to=2'), new RegExp(`<del>-.*${second?.entraGroup}`))
  t.match(await page('/admin/versions/diff?from=2&to=2'), /Both have the same meaning/)
})

// proves: admin-findings-in-workers
t.test('what check warns of is beside the version, and in the state of the replica', async (t) => {
  const scene = await startAdminScene(t, { defaultGroups: ['Everybody'] })
  t.ok(await count(scene, 1))
  const warned = { path: 'defaultGroups', code: 'default_groups_lost' }
  const { json: version } = await scene.clients.sue.ask('/policy/versions/1')
  t.match((version?.['findings'] as object[]).filter((each) => 'code' in each && each.code === warned.code), [warned])
  const { json: health } = await scene.clients.sue.ask('/health')
  t.match(JSON.stringify(health), new RegExp(`"code":"${warned.code}"`))
})

// proves: policy-no-values
t.test('findings of a policy with variables have no message: it may contain the value', (t) => {
  const warnings = [
    {
      file: 'f',
      line: 1,
      column: 1,
      path: 'access.rules[0].hosts',
      code: 'host_outside',
      message: 'secret.test',
      remedy: '',
    },
    { file: 'f', line: 1, column: 1, path: 'server.publicUrl', code: 'public_url', message: 'other', remedy: '' },
  ]
  const found = { path: 'access.rules[0].hosts', code: 'host_outside' }
  t.strictSame(findingsAbout(warnings, '{"access":"${HOST}"}'), [{ ...found, message: null }])
  t.strictSame(findingsAbout(warnings, '{"access":"secret.test"}'), [{ ...found, message: 'secret.test' }])
  t.end()
})
