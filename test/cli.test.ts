// The command line as a person and as a script meet it: exit codes, places, remedies, JSON.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS } from '../src/demo/people.js'
import { runInProcess } from './helpers/command.js'
import { ENCRYPTION_SECRET, freePorts, startTestGateway } from './helpers/gateway.js'
import { run } from './helpers/programs.js'
import { freshDatabase } from './helpers/postgres.js'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-cli-'))
t.teardown(() => rmSync(directory, { recursive: true }))

const gatehouse = (...args: string[]) => runInProcess(args, { GATEHOUSE_CONFIG: join(directory, 'gatehouse.yaml') })

function configFor(databaseUrl: string, more: Record<string, unknown> = {}): string {
  const file = join(directory, 'gatehouse.yaml')
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', host: '127.0.0.1', port: 0, management: { port: 0 } },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url: databaseUrl },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      groupMapping: [{
        entraGroup: GROUP_IDS.netboxSuperusers,
        groups: ['NetBox Superusers'],
        staff: true,
        superuser: true,
      }],
      ...more,
    }),
  )
  return file
}

t.test('wrong usage exits with 2, help with 0', async (t) => {
  for (const args of [['frobnicate'], ['groups', 'add'], ['users', 'list', '--nonsense'], ['groups']]) {
    t.equal((await gatehouse(...args)).status, 2, args.join(' '))
  }
  for (const args of [['--help'], ['serve', '--help'], ['groups', 'apply', '--help'], ['--version']]) {
    const { status, stdout } = await gatehouse(...args)
    t.equal(status, 0, args.join(' '))
    t.not(stdout, '')
  }
})

t.test('an invalid configuration exits with 78 and prints every problem with its place', async (t) => {
  const file = join(directory, 'bad.yaml')
  writeFileSync(
    file,
    'server:\n  publicUrl: http://auth.example.com/x\n  prot: 1\nentra:\n  tenantId: contoso\ngroupMapping:\n  - ' +
      'entraGroup: NetBox Admins\n',
  )
  for (
    const args of [['check', '--config', file], ['serve', '--config', file], ['users', 'list', '--config', file], [
      'migrate',
      `--config=${file}`,
    ]]
  ) {
    const { status, stderr } = await gatehouse(...args)
    t.equal(status, 78, args.join(' '))
    for (const place of [`${file}:2:14: `, `${file}:3:3: `, `${file}:5:13: `, `${file}:7:17: `]) t.match(stderr, place)
    t.match(stderr, /Object ID/)
  }
  const json = JSON.parse((await gatehouse('check', '--json', '--config', file)).stdout)
  t.ok(json.problems.length >= 4)
  t.match(json.problems[0], { file, line: Number, column: Number, code: String, message: String, remedy: String })
  t.equal((await gatehouse('check', '--config', join(directory, 'missing.yaml'))).status, 78)
})

t.test('check accepts a valid configuration', async (t) => {
  configFor('postgres://x:y@127.0.0.1:1/z')
  const { status, stdout } = await gatehouse('check', '--offline')
  t.equal(status, 0)
  t.match(stdout, /is usable/)
  t.match(JSON.parse((await gatehouse('check', '--offline', '--json')).stdout), {
    usable: true,
    problems: [],
    hash: /^[0-9a-f]{64}$/,
  })
})

t.test('import-netbox prints what check accepts', async (t) => {
  const file = join(directory, 'configuration.py')
  writeFileSync(
    file,
    `SOCIAL_AUTH_PIPELINE_CONFIG = {'AZUREAD_GROUP_MAP': {'${GROUP_IDS.readOnly}': 'Read Only'}, ` +
      "'AZUREAD_USER_FLAGS_BY_GROUP': {}}\n",
  )
  const { status, stdout } = await gatehouse('import-netbox', file)
  t.equal(status, 0)
  t.match(stdout, new RegExp(`entraGroup: ${GROUP_IDS.readOnly}`))
  t.equal((await gatehouse('import-netbox', join(directory, 'none.py'))).status, 1)
})

t.test('groups and users commands, beside a running gateway', async (t) => {
  const gateway = await startTestGateway(t, { groups: [] })
  configFor(gateway.databaseUrl)
  t.match((await gatehouse('migrate')).stdout, /up to date/)
  t.match((await gatehouse('groups', 'list')).stdout, /no groups yet/)
  t.equal((await gatehouse('groups', 'add', 'NetBox Superusers', '--description', 'everything')).status, 0)
  const twice = await gatehouse('groups', 'add', 'NetBox Superusers')
  t.equal(twice.status, 1)
  t.match(twice.stderr, /already/)
  t.equal((await gatehouse('groups', 'add', 'a,b')).status, 1)
  const file = join(directory, 'groups.yaml')
  writeFileSync(file, readFileSync('config/demo/groups.yaml', 'utf8'))
  t.match((await gatehouse('groups', 'apply', file, '--dry-run')).stdout, /Nothing was changed/)
  t.equal((await gatehouse('groups', 'apply', file)).status, 0)
  t.match((await gatehouse('groups', 'apply', file)).stdout, /Nothing to change/)
  const exported = (await gatehouse('groups', 'export')).stdout
  writeFileSync(file, exported)
  t.match((await gatehouse('groups', 'apply', file)).stdout, /Nothing to change/, 'what is exported applies as it is')
  t.match(
    JSON.parse((await gatehouse('groups', 'list', '--json')).stdout).find((group: { name: string }) =>
      group.name === 'Network Engineers'
    ),
    { permissions: ['netbox.change', 'netbox.view'] },
  )
  for (
    const [text, place] of [['groups: [{ nam: x }]', /groups\.yaml:1:\d+/], ['groups: [', /groups\.yaml:\d+:\d+/], [
      'groups: [{ name: A }, { name: A }]',
      /twice/,
    ], ['', /groups\.yaml/]] as const
  ) {
    writeFileSync(file, text)
    const { status, stderr } = await gatehouse('groups', 'apply', file)
    t.equal(status, 1, text)
    t.match(stderr, place)
  }
  t.equal((await gatehouse('groups', 'apply', join(directory, 'none.yaml'))).status, 1)

  const { browser } = await gateway.signIn(PERSON_IDS.superuser)
  t.match((await gatehouse('users', 'list')).stdout, /sue\.super@contoso\.example +Sue Super +yes +yes +yes +1/)
  t.match(
    (await gatehouse('users', 'list', '--superuser', '--why')).stdout,
    new RegExp(`superuser, because of ${GROUP_IDS.netboxSuperusers} \\(row 1\\), since 20\\d\\d-\\d\\d-\\d\\d`),
  )
  for (const who of ['sue.super@contoso.example', 'Sue.Super@Contoso.example', PERSON_IDS.superuser]) {
    t.match((await gatehouse('users', 'show', who)).stdout, /NetBox Superusers, because of/, who)
  }
  t.match(JSON.parse((await gatehouse('users', 'show', 'sue.super@contoso.example', '--json')).stdout), {
    isSuperuser: true,
    liveSessions: 1,
    identities: [{ oid: PERSON_IDS.superuser }],
  })
  const unknown = await gatehouse('users', 'show', 'nobody@nowhere')
  t.equal(unknown.status, 1)
  t.match(unknown.stderr, /there is no user/)
  t.equal((await gateway.ask('/oauth2/userinfo', { browser })).status, 200)

  const mapped = await gatehouse('groups', 'remove', 'NetBox Superusers')
  t.equal(mapped.status, 1)
  t.match(mapped.stderr, /groupMapping, row 1[^]*--force/)
  t.match(
    (await gatehouse('groups', 'rename', 'NetBox Superusers', 'Roots')).stdout,
    /groupMapping still names NetBox Superusers \(row 1\)/,
  )
  t.equal((await gatehouse('groups', 'grant', 'Roots', 'netbox.all')).status, 0)
  for (const args of [['sessions', 'revoke'], ['sessions', 'revoke', 'ses_x', '--all']]) {
    t.equal((await gatehouse(...args)).status, 2)
  }
  t.match((await gatehouse('sessions', 'list')).stdout, /ses_\S+ +sue\.super@contoso\.example/)
  t.match((await gatehouse('sessions', 'revoke', '--user', PERSON_IDS.superuser)).stdout, /1 session ended/)
  t.equal((await gateway.ask('/oauth2/userinfo', { browser })).status, 401)
  t.match(
    (await gatehouse('audit', 'list', '--since', '1h', '--action', 'session')).stdout,
    /session\.revoke +cli:\S+ +sue\.super/,
  )
  t.equal((await gatehouse('audit', 'list', '--since', 'yesterday')).status, 2)
  t.match(
    (await gatehouse('users', 'deactivate', 'sue.super@contoso.example')).stdout,
    /is inactive now; 0 sessions ended/,
  )
  t.match((await gatehouse('users', 'remove', 'sue.super@contoso.example')).stdout, /stays reserved/)
  t.match((await gatehouse('users', 'list')).stdout, /No users/)
})

t.test('tokens: one is printed once, listed and revoked', async (t) => {
  const gateway = await startTestGateway(t, { config: { admin: {} } })
  await gateway.signIn(PERSON_IDS.staff)
  configFor(gateway.databaseUrl)
  const add = async (...more: string[]) => await gatehouse('tokens', 'add', 'Report', ...more)
  const whole = ['--admin', '--owner', 'sam.staff@contoso.example', '--scope', 'gatehouse.read']
  for (
    const args of [
      ['--owner', 'sam.staff@contoso.example', '--scope', 'gatehouse.read'],
      ['--admin', '--scope', 'gatehouse.read'],
      ['--admin', '--owner', 'sam.staff@contoso.example'],
      [...whole, '--scope', 'netbox.view'],
      [...whole, '--expires', '366d'],
      [...whole, '--expires', 'soon'],
    ]
  ) t.equal((await add(...args)).status, 2, args.join(' '))
  t.equal((await add('--admin', '--owner', 'nobody', '--scope', 'gatehouse.read')).status, 1)
  t.match((await gatehouse('tokens', 'list')).stdout, 'No program has a token.')

  const { status, stdout, stderr } = await add(...whole, '--expires', '12h')
  t.equal(status, 0)
  t.match(stdout, /^gha_[0-9A-Za-z]{49}\n$/, 'nothing else on standard output')
  t.match(stderr, /tok_\S+ of sam\.staff@contoso\.example lasts until \d{4}-/)
  const me = async (token: string) => {
    const answer = await fetch(`${gateway.url}/admin/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })
    return { status: answer.status, json: await answer.json() as Record<string, unknown> }
  }
  const token = stdout.trim()
  t.match(await me(token), { status: 200, json: { permissions: ['gatehouse.read'] } })
  const [listed] = JSON.parse((await gatehouse('tokens', 'list', '--json')).stdout) as Record<string, unknown>[]
  t.match(listed, { name: 'Report', owner: 'sam.staff@contoso.example', state: 'active', createdBy: /^cli:/ })
  t.notMatch((await gatehouse('tokens', 'list')).stdout, token)
  const made = JSON.parse((await add(...whole, '--json')).stdout) as Record<string, unknown>
  t.match(made, { id: /^tok_/, token: /^gha_/, owner: 'sam.staff@contoso.example', expiresAt: /^\d{4}-/ })

  const id = String(listed?.['id'])
  t.match((await gatehouse('tokens', 'revoke', id)).stdout, /^Revoked tok_/)
  t.match((await gatehouse('tokens', 'revoke', id)).stdout, /revoked already/)
  t.equal((await me(token)).status, 401)
  t.equal((await gatehouse('tokens', 'revoke', 'tok_none')).status, 1)
  const audit = await gatehouse('audit', 'list', '--action', 'token', '--json')
  t.notMatch(audit.stdout, /gha_[0-9A-Za-z]{43}/)
})

t.test('access test prints the deciding rule and the reason; keys are listed and rotated', async (t) => {
  const gateway = await startTestGateway(t)
  await gateway.signIn(PERSON_IDS.staff)
  const hosts = ['netbox.test']
  const file = configFor(gateway.databaseUrl, {
    keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
    access: {
      default: 'deny',
      rules: [
        { hosts, paths: ['/static/**'], allow: 'anyone' },
        { hosts, networks: ['10.0.0.0/8'], paths: ['/api/**'], allow: 'anyone' },
        { hosts, paths: ['/admin', '/admin/**'], allow: { staff: true } },
        { hosts, methods: ['GET', 'HEAD'], allow: { permissions: ['netbox.view'] } },
        { hosts, allow: { groups: ['Circuit Manager'] } },
      ],
    },
  })
  t.equal((await gatehouse('groups', 'grant', 'Network Engineers', 'netbox.view')).status, 0)
  const tested = async (url: string, ...args: string[]) =>
    JSON.parse((await gatehouse('access', 'test', url, '--json', '--method', 'GET', ...args)).stdout) as {
      allowed: boolean
      reason: string | null
      rule: string
      rules: { rule: string, because: string }[]
    }
  const sam = ['--user', 'sam.staff@contoso.example', '--from', '192.0.2.1']
  t.match(await tested('https://netbox.test/static/x'), { allowed: true, rule: 'access.rules[0]' })
  t.match(await tested('https://netbox.test/dcim/'), { allowed: false, reason: 'not_signed_in' })
  t.match(await tested('https://netbox.test/dcim/', ...sam), {
    allowed: true,
    rule: 'access.rules[3]',
    rules: [{ because: /holds netbox\.view, through Network Engineers/ }],
  })
  t.match(await tested('https://netbox.test/dcim/', ...sam, '--method', 'POST'), {
    allowed: false,
    reason: 'not_allowed',
    rule: 'access.rules[4]',
  })
  t.match(await tested('https://netbox.test/admin/', ...sam), { allowed: true, rules: [{ because: /is staff/ }] })
  t.match(await tested('https://other.test/', ...sam), { allowed: false, rule: 'access.default' })
  t.match(await tested('https://netbox.test/api/x', '--from', '10.1.1.1'), { allowed: true, rule: 'access.rules[1]' })
  t.match(await tested('https://netbox.test/api/x'), {
    allowed: false,
    rules: [{ rule: 'access.rules[1]' }, { rule: 'access.rules[3]' }],
  }, 'without an address every rule that may match counts')
  t.match(
    (await tested('https://netbox.test/static/..%2fadmin', '--user', 'sam.staff@contoso.example')).rules.map((
      { rule },
    ) => rule),
    ['access.rules[0]', 'access.rules[2]'],
  )
  const said = await gatehouse('access', 'test', 'https://netbox.test/dcim/', '--method', 'post', ...sam)
  t.equal(said.status, 0)
  t.match(
    said.stdout,
    new RegExp(
      `^refused: POST https://netbox\\.test/dcim/ by sam\\.staff@contoso\\.example\\n` +
        ` +access\\.rules\\[4\\] \\(${file}:\\d+:\\d+\\) is open to members of Circuit Manager, superusers: no, `,
    ),
  )
  t.equal((await gatehouse('access', 'test', 'https://netbox.test/')).status, 2, 'the method is not guessed')
  t.equal((await gatehouse('access', 'test', 'netbox.test/x', '--method', 'GET')).status, 2)
  t.match(
    (await gatehouse('access', 'test', 'netbox.test/x', '--method', 'GET')).stderr,
    /Write the whole address: https:\/\/netbox\.test\/x/,
  )
  t.equal(
    (await gatehouse('access', 'test', 'https://netbox.test/', '--method', 'GET', '--user', 'nobody@nowhere')).status,
    1,
  )
  await gatehouse('users', 'deactivate', 'sam.staff@contoso.example')
  t.match(
    (await gatehouse('access', 'test', 'https://netbox.test/admin', '--method', 'GET', ...sam)).stdout,
    /must sign in: .* deactivated and counts as anonymous/,
  )

  t.match((await gatehouse('keys', 'list')).stdout, /^KEY +STATE.*\n\S{43} +signing/)
  t.match((await gatehouse('keys', 'rotate')).stdout, /signs in 15 minutes/)
  t.match(JSON.parse((await gatehouse('keys', 'list', '--json')).stdout), [{ state: 'signing', retiredAt: String }, {
    state: 'next',
    retiredAt: null,
  }])
  t.match((await gatehouse('keys', 'rotate', '--now')).stdout, /signs immediately, all other keys are withdrawn/)
  t.equal((JSON.parse((await gatehouse('keys', 'list', '--json')).stdout) as object[]).length, 1)
  t.match((await gatehouse('audit', 'list', '--action', 'key')).stdout, /key\.rotate +cli:\S+/)
})

t.test('serve logs its address and, on SIGTERM, completes the requests in progress', async (t) => {
  const url = await freshDatabase(t)
  const [port = 0, management = 0] = await freePorts(2)
  const file = configFor(url, {
    server: { publicUrl: `http://127.0.0.1:${port}`, host: '127.0.0.1', port, management: { port: management } },
  })
  const serving = await run(t, process.execPath, ['dist/cli.js', 'serve', '--config', file], {
    ready: (output) => output.includes('configuration in force'),
  })
  t.equal((await fetch(`http://127.0.0.1:${management}/readyz`)).status, 200)
  t.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 404, 'never on the public port')
  t.equal((await fetch(`http://127.0.0.1:${port}/oauth2/auth`)).status, 401)
  const changed = readFileSync(file, 'utf8')
  const said = async (what: RegExp): Promise<void> => {
    for (let each = 0; each < 200 && !what.test(serving.output()); each++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    t.match(serving.output(), what)
  }
  writeFileSync(file, changed.replace('superuser: true', 'superuser: false'))
  serving.process.kill('SIGHUP')
  await said(/configuration reloaded: 2 changes/)
  t.match(serving.output(), /"superuser":true[^\n]*"superuser":false/, 'as a diff')
  writeFileSync(file, changed.replace('groupMapping', 'groupMaping'))
  await said(/refused whole/)
  writeFileSync(
    file,
    changed.replace('NetBox Superusers', 'Others').replace('database:', 'audit: { retention: 30d }\ndatabase:'),
  )
  await said(/"audit\.retention"/)
  t.equal((await fetch(`http://127.0.0.1:${port}/oauth2/auth`)).status, 401)
  await serving.stop()
  t.equal(serving.process.exitCode, 0)
  for (const line of serving.output().trim().split('\n')) t.doesNotThrow(() => JSON.parse(line))
})
