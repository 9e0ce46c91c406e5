// `policy.source: database`: what is deployed is in force on all replicas, and without it nothing is answered.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { DEFAULT_PIPELINE } from '../src/config/schema.js'
import { PERSON_IDS } from '../src/demo/people.js'
import { runInProcess } from './helpers/command.js'
import {
  commandConfig,
  MAPPING,
  startTestGateway,
  type TestGateway,
  type TestGatewayOptions,
} from './helpers/gateway.js'
import { connect, type Query } from './helpers/sql.js'
import { until } from './helpers/until.js'

const [superusers, ...others] = MAPPING
const POLICY = { groupMapping: MAPPING, access: { default: 'authenticated' } }

function variable(reference: string): string {
  return `$\{${reference}}`
}

interface Scene {
  readonly gateway: TestGateway
  readonly query: Query
  write(name: string, content: unknown): string
  policy(...args: string[]): ReturnType<typeof runInProcess>
  run(...args: string[]): ReturnType<typeof runInProcess>
  /** Status of the answer to a proxy that asks for somebody without a session. */
  asked(gateway?: TestGateway): Promise<number>
}

async function scene(t: Test, options: TestGatewayOptions = {}): Promise<Scene> {
  const { config, ...rest } = options
  const gateway = await startTestGateway(t, {
    ...rest,
    config: { policy: { source: 'database' }, groupMapping: undefined, ...config },
  })
  const query = await connect(t, gateway.databaseUrl)
  const directory = t.testdir({
    'gatehouse.yaml': stringify({
      ...commandConfig(gateway),
      policy: { source: 'database' },
      ...config,
    }),
  })
  const write = (name: string, content: unknown): string => {
    writeFileSync(join(directory, name), typeof content === 'string' ? content : stringify(content))
    return join(directory, name)
  }
  const run: Scene['run'] = (...args) => runInProcess([...args, '--config', join(directory, 'gatehouse.yaml')])
  return {
    gateway,
    query,
    write,
    run,
    policy: (...args) => run('policy', ...args),
    asked: async (asked = gateway) => (await asked.ask('/oauth2/auth')).status,
  }
}

async function ready({ management }: TestGateway) {
  const response = await fetch(`${management}/readyz`)
  const { parts } = await response.json() as { parts: { policy?: string } }
  return { status: response.status, policy: parts.policy }
}

/** A second replica on the same database. */
async function secondReplica(t: Test, { databaseUrl }: TestGateway, options: TestGatewayOptions = {}) {
  const config = { policy: { source: 'database' }, groupMapping: undefined, ...options.config }
  return await startTestGateway(t, { ...options, databaseUrl, config })
}

/** A rule by which a version is recognized: `/a` is open to anyone. */
function openAt(path: string) {
  const rules = [{ hosts: ['app.test'], paths: [path], allow: 'anyone' }]
  return { ...POLICY, access: { default: 'authenticated', rules } }
}

async function isOpen(gateway: TestGateway, path: string): Promise<boolean> {
  const headers = { 'x-original-url': `https://app.test${path}`, 'x-original-method': 'GET' }
  return (await gateway.ask('/oauth2/auth', { headers })).status === 200
}

// proves: policy-missing, policy-missing-sign-in, policy-missing-userinfo, policy-not-ready
t.test('without a policy nothing is answered, and the first deploy is in force without a restart', async (t) => {
  const { gateway, query, write, policy, asked } = await scene(t)
  for (const path of ['/oauth2/auth', '/oauth2/start', '/oauth2/userinfo']) {
    t.equal((await gateway.ask(path)).status, 503, path)
  }
  t.match(await ready(gateway), { status: 503, policy: 'missing' })

  const deployed = await policy('deploy', write('policy.yaml', POLICY), '--message', 'The first one')
  t.equal(deployed.status, 0, deployed.stderr)
  t.match(deployed.stdout, /^Version 1 is the first one\. It is in force on \S+:\d+\.\n$/)
  t.ok(await until(async () => await asked() === 401), 'a question is answered')
  t.match(await ready(gateway), { status: 200, policy: 'version 1' })
  const { browser, answer } = await gateway.signIn(PERSON_IDS.superuser)
  t.equal(answer.status, 200)
  t.match((await gateway.ask('/oauth2/userinfo', { browser })).text, '"is_superuser":true')
  t.match(await query("select detail->>'message' as message from audit_events where action = 'policy.deployed'"), [
    { message: 'The first one' },
  ])
})

t.test('a deploy is in force on every replica, a rollback too, and both are versions', async (t) => {
  const { gateway, query, write, policy } = await scene(t)
  const second = await secondReplica(t, gateway)
  const inForce = async (path: string) => await isOpen(gateway, path) && await isOpen(second, path)
  t.equal((await policy('deploy', write('a.yaml', openAt('/a')), '--message', 'A')).status, 0)
  t.ok(await until(() => inForce('/a')))
  const deployed = await policy('deploy', write('b.yaml', openAt('/b')), '--message', 'B', '--onto', '1', '--json')
  t.match(JSON.parse(deployed.stdout), { number: 2, replaced: 1, replicas: { length: 2 } })
  t.ok(await until(() => inForce('/b')))
  t.notOk(await isOpen(second, '/a'))

  const back = await policy('rollback', '1', '--message', 'Back to A', '--preview', 'f00d')
  t.match(back.stdout, /^Version 3 replaces version 2\./)
  t.ok(await until(() => inForce('/a')))
  const newest = async () => JSON.parse((await policy('versions', '--json')).stdout) as { replicas: string[] }[]
  t.ok(await until(async () => (await newest())[0]?.replicas.length === 2), 'it is known who runs which')
  t.match(await newest(), [
    { number: 3, source: 'database', message: 'Back to A', parent: 2 },
    { number: 2, message: 'B' },
    { number: 1, parent: null },
  ])
  const [row] = await query<{ detail: unknown }>(`select detail from audit_events where action = 'policy.deployed'
    order by id desc limit 1`)
  t.match(row?.detail, {
    version: 3,
    replaced: 2,
    hash: /^[0-9a-f]{64}$/,
    replacedHash: /^[0-9a-f]{64}$/,
    preview: 'f00d',
  })
  t.match(await policy('rollback', '9', '--message', 'x'), { status: 1, stderr: /there is no policy version 9/ })
})

t.test('commands go by the version in force, and doctor says which it is', async (t) => {
  const { write, run } = await scene(t)
  const missing = await run('access', 'test', 'https://app.test/a', '--method', 'GET', '--json')
  t.match(missing, { status: 1, stdout: /policy_missing/ })
  t.match(
    (await run('doctor')).stdout,
    /FAIL +policy +no policy was deployed yet\n +Deploy one: gatehouse policy deploy/,
  )
  await run('policy', 'deploy', write('a.yaml', openAt('/a')), '--message', 'A')
  t.match(
    (await run('access', 'test', 'https://app.test/a', '--method', 'GET')).stdout,
    /policy version 1:\d+:\d+\) is open to everybody/,
  )
  t.match((await run('doctor')).stdout, /ok +policy +policy version 1 is in force/)
  t.match((await run('users', 'list', '--json')).status, 0)
})

// proves: policy-onto
t.test('a deploy that was made for another version changes nothing', async (t) => {
  const { gateway, write, policy } = await scene(t)
  await policy('deploy', write('a.yaml', openAt('/a')), '--message', 'A')
  await policy('deploy', write('b.yaml', openAt('/b')), '--message', 'B')
  const late = await policy('deploy', write('c.yaml', openAt('/c')), '--message', 'C', '--onto', '1')
  t.match(late, { status: 1, stderr: /version 2 is in force, and not 1/ })
  t.ok(await until(() => isOpen(gateway, '/b')))
  t.match(JSON.parse((await policy('versions', '--json')).stdout), { length: 2 })
})

// proves: policy-trial-refused, policy-never-the-old-one, policy-unusable, policy-listed-steps
t.test('a replica that cannot run a policy ends its deploy, and left out it answers nothing', async (t) => {
  const source = "export default async function allow() { return { kind: 'go on' } }\n"
  const ownSteps = [{ file: './own.js', sha256: createHash('sha256').update(source).digest('hex') }]
  const { gateway, write, policy, query } = await scene(t, { config: { ownSteps }, files: { 'own.js': source } })
  write('own.js', source)
  const second = await secondReplica(t, gateway)
  t.equal((await policy('deploy', write('a.yaml', openAt('/a')), '--message', 'A')).status, 0)
  t.ok(await until(() => isOpen(second, '/a')))
  const withStep = { ...openAt('/b'), pipeline: ['./own.js', ...DEFAULT_PIPELINE] }
  const refused = await policy('deploy', write('b.yaml', withStep), '--message', 'B')
  t.match(refused, { status: 1, stderr: /cannot run this policy: .*own\.js, which is not among ownSteps/ })
  t.ok(await isOpen(gateway, '/a'), 'nothing changes')
  t.strictSame(await query('select id from policy_trials'), [], 'the trial is over')
  t.match(JSON.parse((await policy('versions', '--json')).stdout), { length: 1 })

  const name = `${hostname()}:${second.config.server.port}`
  const deployed = await policy('deploy', write('b.yaml', withStep), '--message', 'B', '--without', name)
  t.equal(deployed.status, 0, deployed.stderr)
  t.ok(await until(() => isOpen(gateway, '/b')))
  t.ok(await until(async () => (await second.ask('/oauth2/auth')).status === 503), 'never by the old one')
  t.match(await ready(second), { status: 503, policy: /^version 2 cannot be run: .*own\.js/ })
  t.match(await ready(gateway), { status: 200, policy: 'version 2' })
  t.equal((await policy('deploy', write('c.yaml', openAt('/c')), '--message', 'C')).status, 0)
  t.ok(await until(() => isOpen(second, '/c')), 'it can run the next one')
})

// proves: policy-trial-silent
t.test('a replica that does not answer ends a deploy, unless it is left out', async (t) => {
  const { gateway, query, write, policy } = await scene(t)
  const silent = `insert into replicas (replica, heartbeats, name, config, listens, heartbeat_at)
    values ('gone', 1, 'gone:1', repeat('0', 64), true, clock_timestamp() + interval '9 seconds')`
  await query(silent)
  const file = write('a.yaml', openAt('/a'))
  t.match(await policy('deploy', file, '--message', 'A'), {
    status: 1,
    stderr: /no answer came from gone:1\n.*--without gone:1/,
  })
  t.equal((await gateway.ask('/oauth2/auth')).status, 503, 'nothing changes')
  await query("delete from replicas where name = 'gone:1'")
  await query(silent)
  t.equal((await policy('deploy', file, '--message', 'A', '--without', 'gone:1')).status, 0)
  t.ok(await until(() => isOpen(gateway, '/a')))
})

// proves: policy-last-superuser
t.test('a policy that leaves no superuser is deployed only where that is confirmed', async (t) => {
  const { gateway, query, write, policy } = await scene(t)
  await policy('deploy', write('a.yaml', POLICY), '--message', 'A')
  t.ok(await until(async () => (await ready(gateway)).status === 200))
  await gateway.signIn(PERSON_IDS.superuser)
  await gateway.signIn(PERSON_IDS.staff)
  const none = write('none.yaml', { ...POLICY, groupMapping: others })
  t.match(await policy('deploy', none, '--message', 'x'), { status: 1, stderr: /no active superuser would be left/ })
  t.match(await policy('deploy', none, '--message', 'x', '--confirm', 'yes'), { status: 1 })
  const elsewhere = others.map((row) => row.groups.includes('Network Engineers') ? { ...row, superuser: true } : row)
  const moved = write('moved.yaml', { ...POLICY, groupMapping: elsewhere })
  t.equal((await policy('deploy', moved, '--message', 'another person becomes one')).status, 0)
  t.equal((await policy('deploy', none, '--message', 'x', '--confirm', 'no superuser')).status, 0)
  await query('update users set is_superuser = false')
  t.equal((await policy('deploy', none, '--message', 'there is none anyway')).status, 0)
  t.ok(superusers)
})

// proves: policy-in-one-place, policy-no-variables, policy-default-written, policy-step-sha
t.test('a policy is in one place, and in the database it needs nothing of a machine', async (t) => {
  const { write, policy } = await scene(t)
  const wrong = write('wrong.yaml', {
    groupMapping: [{ ...superusers, groups: [variable('HOME')], label: variable('UNSET'), staff: variable('A:-true') }],
    branding: { logoFile: 'logo.svg' },
    pipeline: ['./own.js', ...DEFAULT_PIPELINE],
  })
  const { status, stderr } = await policy('deploy', wrong, '--message', 'x')
  t.equal(status, 78)
  t.match(stderr, 'groupMapping[0].groups[0] has a variable.')
  t.match(stderr, 'groupMapping[0].label has a variable.')
  t.match(stderr, 'groupMapping[0].staff has a variable.')
  t.match(stderr, /branding\.logoFile names the file .*logo\.svg/)
  t.match(stderr, 'pipeline[0] names ./own.js, which is not among ownSteps.')
  t.match(stderr, 'access.default is not written.')

  write('own.js', 'export default async function own() {}')
  const ownSteps = [{ file: './own.js', sha256: '0'.repeat(64) }]
  write('gatehouse.yaml', { policy: { source: 'database' }, ownSteps, groupMapping: MAPPING, access: {} })
  const both = await policy('versions')
  t.match(both.stderr, /gatehouse\.yaml:\d+:1: groupMapping is a part of the policy, which is in the database\./)
  t.match(both.stderr, /access is a part of the policy/)
  t.match(both.stderr, /ownSteps\[0\]\.sha256 is not that of \.\/own\.js, which is [0-9a-f]{64}\./)
})

t.test('the database loses the version in force: it is in force again, under a higher number', async (t) => {
  const { gateway, query, write, policy } = await scene(t)
  await policy('deploy', write('a.yaml', openAt('/a')), '--message', 'A')
  await policy('deploy', write('b.yaml', openAt('/b')), '--message', 'B')
  t.ok(await until(() => isOpen(gateway, '/b')))
  await query(`alter table policy_versions disable trigger all; delete from policy_versions where number = 2;
    alter table policy_versions enable trigger all`)
  const newest = async () => JSON.parse((await policy('versions', '--json')).stdout) as { number: number }[]
  t.ok(await until(async () => (await newest())[0]?.number === 3))
  t.match(await newest(), [{ number: 3, parent: 1, message: 'Version 2, which the database has lost.' }, { number: 1 }])
  t.ok(await isOpen(gateway, '/b'))
  t.notOk(await isOpen(gateway, '/a'))
})

// proves: policy-image-uploaded
t.test('a policy names uploaded images: every replica serves them, also where the database loses them', async (t) => {
  const { gateway, query, write, policy } = await scene(t)
  const second = await secondReplica(t, gateway)
  const named = (icon: string) => ({
    ...POLICY,
    branding: { logo: 'logo.png' },
    applications: [{ host: 'app.test', name: 'App', icon }],
  })
  const missing = await policy('deploy', write('a.yaml', named('app.png')), '--message', 'A')
  t.match(missing, { status: 78, stderr: /branding\.logo names the image logo\.png, which was not uploaded/ })
  const png = Buffer.from('\x89PNG\r\n\x1a\n a', 'latin1')
  const logo = write('logo.png', '')
  writeFileSync(logo, png)
  await policy('add-image', logo)
  await policy('add-image', logo, '--name', 'app.png')
  t.match(await policy('deploy', write('a.yaml', named('app.png')), '--message', 'A'), { status: 0 })
  const file = write('b.yaml', { ...named('app.png'), branding: { logoFile: 'logo.png' } })
  t.match(await policy('check', file), { status: 78, stderr: /branding\.logoFile names the file logo\.png/ })
  const logoAt = async (asked: TestGateway) => {
    const { text } = await asked.ask('/nothing-here', { headers: { accept: 'text/html' } })
    return /src="[^"]*(\/oauth2\/assets\/[0-9a-f]+\.png)"/.exec(text)?.[1]
  }
  for (const each of [gateway, second]) {
    t.ok(await until(async () => await logoAt(each) !== undefined))
    const sent = await each.ask(await logoAt(each) ?? '')
    t.match([sent.status, sent.headers.get('content-type')], [200, 'image/png'])
    t.match(sent.headers.get('content-security-policy'), /^default-src 'none'.*; sandbox$/)
    t.equal(sent.headers.get('x-content-type-options'), 'nosniff')
  }
  await query(`alter table policy_versions disable trigger all; delete from policy_versions;
    alter table policy_versions enable trigger all; delete from policy_images`)
  t.ok(await until(async () => (await query('select from policy_versions')).length === 1), 'it is added again')
  t.same(await query('select name from policy_images order by name'), [{ name: 'app.png' }, { name: 'logo.png' }])
  const third = await secondReplica(t, gateway)
  t.ok(await logoAt(third))
})

// proves: policy-schema
t.test('a version of a newer release: a replica does not start on it, and says which release does', async (t) => {
  const { gateway, query, write, policy } = await scene(t)
  await policy('deploy', write('a.yaml', openAt('/a')), '--message', 'A')
  await query(`insert into policy_versions (number, source, text, hash, schema, release, author)
    values (2, 'database', '{}', repeat('0', 64), 99, '9.9.9', 'cli:test')`)
  await t.rejects(secondReplica(t, gateway), { code: 'policy_schema_unknown', remedy: /Gatehouse 9\.9\.9/ })
  t.ok(await until(async () => (await ready(gateway)).status === 503))
  t.match(await ready(gateway), { policy: /version 2 cannot be run: .*9\.9\.9/ })
})

// proves: policy-missing-sync
t.test('without a policy that can be run nobody is re-evaluated', async (t) => {
  const { gateway, query, write, policy } = await scene(t, {
    config: { sync: { interval: '5m', privilegedStaleness: '1h' } },
    app: { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] },
  })
  const failing = async () => {
    await gateway.gateway.reevaluation?.run()
    return gateway.gateway.reevaluation?.state().failing
  }
  t.equal(await failing(), 'policy_missing')
  await policy('deploy', write('a.yaml', openAt('/a')), '--message', 'A')
  t.ok(await until(async () => await failing() === undefined))
  await query(`insert into policy_versions (number, source, text, hash, schema, release, author)
    values (2, 'database', 'groupMapping: 1', repeat('0', 64), 1, '0', 'cli:test')`)
  t.ok(await until(async () => (await ready(gateway)).status === 503))
  t.equal(await failing(), 'policy_unusable')
})
