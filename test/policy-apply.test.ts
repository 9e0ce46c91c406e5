// `gatehouse policy deploy --apply now` on a running gateway: sessions lose and gain rights without a sign-in.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { PERSON_IDS } from '../src/demo/people.js'
import type { Browser } from './helpers/browser.js'
import { runInProcess } from './helpers/command.js'
import { commandConfig, MAPPING, startTestGateway } from './helpers/gateway.js'
import { connect, withoutTriggers } from './helpers/sql.js'
import { until } from './helpers/until.js'

const [superusers, admins, engineers, ...others] = MAPPING
const DATABASE = { policy: { source: 'database' }, groupMapping: undefined }
const policyWith = (groupMapping: readonly unknown[]) => ({ groupMapping, access: { default: 'authenticated' } })

async function scene(t: Test) {
  const gateway = await startTestGateway(t, { config: DATABASE })
  const directory = t.testdir({ 'gatehouse.yaml': stringify({ ...commandConfig(gateway), policy: DATABASE.policy }) })
  const at = (name: string) => join(directory, name)
  const run = (...args: string[]) => runInProcess(['policy', ...args, '--config', at('gatehouse.yaml')])
  const deploy = (groupMapping: readonly unknown[], ...args: string[]) => {
    writeFileSync(at('policy.yaml'), stringify(policyWith(groupMapping)))
    return run('deploy', at('policy.yaml'), '--message', 'x', ...args)
  }
  const userinfo = async (browser: Browser) =>
    JSON.parse((await gateway.ask('/oauth2/userinfo', { browser })).text) as {
      is_staff: boolean
      is_superuser: boolean
      groups: string[]
    }
  await deploy(MAPPING)
  t.ok(await until(async () => (await gateway.ask('/oauth2/auth')).status === 401))
  return { gateway, run, deploy, userinfo, query: await connect(t, gateway.databaseUrl) }
}

t.test('with --apply now sessions have the rights of the new version, without a sign-in', async (t) => {
  const { gateway, run, deploy, userinfo, query } = await scene(t)
  const { browser: sue } = await gateway.signIn(PERSON_IDS.superuser)
  const { browser: sam } = await gateway.signIn(PERSON_IDS.staff)
  t.match(await userinfo(sue), { is_superuser: true, groups: ['NetBox Superusers'] })
  const before = await userinfo(sam)
  t.match(before, { is_staff: true })
  const moved = [{ ...superusers, superuser: false }, admins, { ...engineers, superuser: true }, ...others]

  t.equal((await deploy(moved)).status, 0)
  t.match(await userinfo(sue), { is_superuser: true }, 'by default at the next sign-in')
  const { stdout, status } = await run('apply')
  t.equal(status, 0)
  t.equal(stdout, '2 users were mapped anew by version 2: 1 gained rights, 1 lost some.\n')
  t.match(await userinfo(sue), { is_superuser: false, is_staff: true })
  t.match(await userinfo(sam), { is_superuser: true })

  const deployed = await deploy([...MAPPING].reverse(), '--apply', 'now', '--json')
  t.match(JSON.parse(deployed.stdout), {
    ...{ number: 3, replaced: 2 },
    application: { version: 3, state: 'done', done: 2, gains: 1, losses: 1, failed: 0 },
  })
  t.match(await userinfo(sam), { ...before, is_superuser: false })
  t.match(await userinfo(sue), { is_superuser: true })
  t.match(await query("select detail->>'version' as version from audit_events where action = 'policy.applied'"), [
    { version: '2' },
    { version: '3' },
  ])
  const back = await run('rollback', '2', '--message', 'x', '--apply', 'now')
  t.match(back, { status: 0, stdout: /^Version 4 replaces version 3\..*\n2 users were mapped anew by version 4: / })
  t.match(await userinfo(sue), { is_superuser: false })
})

t.test('a replica goes on with what a process that has ended did not finish', async (t) => {
  const { gateway, deploy, userinfo, query } = await scene(t)
  const { browser: sue } = await gateway.signIn(PERSON_IDS.superuser)
  await deploy([admins, engineers, ...others], '--confirm', 'no superuser')
  t.match(await userinfo(sue), { is_superuser: true })
  await query(`insert into policy_applications (version, actor, runner, written_at)
    values (2, 'cli:gone', 'gone', now() - interval '1 minute')`)
  t.ok(await until(async () => !(await userinfo(sue)).is_superuser))
  t.ok(await until(async () => (await query("select 1 from policy_applications where state = 'done'")).length === 1))
})

t.test('a sign-in by an earlier version than the one in force is made by the newer one', async (t) => {
  const { gateway, deploy, userinfo, query } = await scene(t)
  const first = await gateway.signIn(PERSON_IDS.superuser)
  t.match(await userinfo(first.browser), { is_superuser: true })
  await deploy([admins, engineers, ...others], '--confirm', 'no superuser')
  const { browser: sue, answer } = await gateway.signIn(PERSON_IDS.superuser)
  t.match(answer.status, 200)
  t.match(await userinfo(sue), { is_superuser: false })
  t.match(await query('select max(number) as newest from policy_versions'), [{ newest: 2 }])
})

t.test('the database loses a deploy and what it took away: both are there again, and sessions go on', async (t) => {
  const { gateway, run, deploy, userinfo, query } = await scene(t)
  const { browser: sue } = await gateway.signIn(PERSON_IDS.superuser)
  const heartbeats = async () => (await query<{ n: number }>('select heartbeats::int as n from replicas'))[0]?.n ?? 0
  t.ok(await until(async () => await heartbeats() > 3))
  const before = await heartbeats()
  await deploy([admins, engineers, ...others], '--confirm', 'no superuser', '--apply', 'now')
  t.match(await userinfo(sue), { is_superuser: false })
  t.ok(await until(async () => await heartbeats() > before))
  const session = await query('select public_id from sessions')

  await query(withoutTriggers(`delete from policy_versions where number = 2; delete from policy_applications;
    update users set is_superuser = true, superuser_since = now() where username like 'sue%';
    update replicas set heartbeats = ${before}`))
  const losses = () => gateway.log.filter(({ msg }) => String(msg).startsWith('the database has lost'))
  t.ok(await until(() => losses().length > 0))
  t.match(losses(), [{ heartbeatsLost: Number, takenAgain: { 'superuser.lost': 1 } }])
  t.strictSame(losses().map(({ sessionsEnded }) => sessionsEnded), [undefined], 'all that was taken away is known')
  t.match(await userinfo(sue), { is_superuser: false })
  t.strictSame(await query('select public_id from sessions'), session)
  const newest = async () => JSON.parse((await run('show', '--json')).stdout) as { number: number }
  t.ok(await until(async () => (await newest()).number === 3))
  t.match(await newest(), { message: 'Version 2, which the database has lost.', gains: null })
})

// proves: policy-counts-of-preview
t.test('a version keeps how many users gain and lose rights: of the preview, or else counted', async (t) => {
  const { gateway, run, deploy, query } = await scene(t)
  await gateway.signIn(PERSON_IDS.superuser)
  await gateway.signIn(PERSON_IDS.staff)
  const moved = [{ ...superusers, superuser: false }, admins, { ...engineers, superuser: true }, ...others]
  await deploy(moved)
  const newest = async () => JSON.parse((await run('show', '--json')).stdout) as Record<string, unknown>
  t.match(await newest(), { number: 2, gains: 1, losses: 1 })
  await query(`insert into policy_drafts (id, text, base, author, changed_by) values ('d', '', 1, 'x', 'x')`)
  await query(`insert into policy_previews (draft, run, state, result, draft_hash, policy_hash)
    select 'd', gen_random_uuid(), 'done', '{"hash":"f00d","gains":7,"losses":5}', a.hash, b.hash
    from policy_versions a, policy_versions b where a.number = 1 and b.number = 2`)
  await deploy(MAPPING, '--preview', 'f00d')
  t.match(await newest(), { number: 3, gains: 7, losses: 5 })
  await deploy(moved, '--preview', 'f00d')
  t.match(await newest(), { number: 4, gains: 1, losses: 1 }, 'that preview is about another change')
  t.match((await run('show', '3')).stdout, /^users {4}7 gain rights, 5 lose some$/m)
  t.match((await run('versions')).stdout, /GAIN +LOSE +MESSAGE[^]*\n3 +.* 7 +5 +x/)
})

t.test('where the file has the policy, or none was deployed, nothing is applied', async (t) => {
  const gateway = await startTestGateway(t)
  const directory = t.testdir({ 'gatehouse.yaml': stringify({ ...commandConfig(gateway), groupMapping: MAPPING }) })
  const ofFile = await runInProcess(['policy', 'apply', '--json', '--config', join(directory, 'gatehouse.yaml')])
  t.match(ofFile, { status: 1, stdout: /policy_source_file/ })
  writeFileSync(join(directory, 'gatehouse.yaml'), stringify({ ...commandConfig(gateway), policy: DATABASE.policy }))
  const missing = await runInProcess(['policy', 'apply', '--json', '--config', join(directory, 'gatehouse.yaml')])
  t.match(missing, { status: 1, stdout: /policy_missing/ })
})
