// `gatehouse access check`: a file of expectations against the access rules, as a job of CI meets it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createAccessCheck, expectationLine, type Expectation } from '../src/admin/access-check.js'
import { createAccessTestAdmin } from '../src/admin/access-test.js'
import { readExpectations } from '../src/commands/expectations-file.js'
import type { AccessRule } from '../src/core/access.js'
import { GatehouseError } from '../src/core/errors.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS } from '../src/demo/people.js'
import { networkTest } from '../src/net/networks.js'
import { runInProcess } from './helpers/command.js'
import { freshDatabase } from './helpers/postgres.js'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-access-check-'))
t.teardown(() => rmSync(directory, { recursive: true }))

/** Nothing listens there. */
const NO_DATABASE = 'postgres://gatehouse@127.0.0.1:9/none'
const RULES = [
  { name: 'Static files', hosts: ['netbox.test'], paths: ['/static/**'], allow: 'anyone' },
  { hosts: ['netbox.test'], networks: ['10.0.0.0/8'], paths: ['/api/**'], allow: 'anyone' },
  { hosts: ['netbox.test'], methods: ['GET'], allow: { permissions: ['netbox.view'] } },
  { name: 'Changes', hosts: ['netbox.test'], allow: { groups: ['Circuits'], staff: true } },
]

function configFile(name: string, rules: readonly unknown[], databaseUrl = NO_DATABASE): string {
  const file = join(directory, name)
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', host: '127.0.0.1', port: 0, management: { port: 0 } },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url: databaseUrl },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      groupMapping: [{ entraGroup: GROUP_IDS.netboxSuperusers, groups: [], superuser: true }],
      access: { default: 'deny', rules },
    }),
  )
  return file
}

function expectations(text: string): string {
  const file = join(directory, 'expectations.yaml')
  writeFileSync(file, text)
  return file
}

const check = async (text: string, config: string, ...args: string[]) =>
  await runInProcess(['access', 'check', expectations(text), '--config', config, ...args])

const HOLDS = `
- { nobody: true, method: GET, url: https://netbox.test/static/x, expect: allow, rule: Static files }
- { nobody: true, method: GET, url: https://netbox.test/static/x, expect: allow, rule: 0 }
- { nobody: true, method: GET, url: https://netbox.test/dcim/, expect: sign-in, rule: "access.rules[2]" }
- { nobody: true, method: GET, url: https://netbox.test/api/x, from: 10.1.1.1, expect: allow, rule: 1 }
- { nobody: true, method: GET, url: https://netbox.test/api/x, from: 192.0.2.1, expect: sign-in, rule: 2 }
- { groups: [], permissions: [netbox.view], method: GET, url: https://netbox.test/, expect: allow, rule: 2 }
- { groups: [Circuits], method: GET, url: https://netbox.test/, expect: deny }
- { groups: [Circuits], method: POST, url: https://netbox.test/, expect: allow, rule: Changes }
- { groups: [], staff: true, method: POST, url: https://netbox.test/, expect: allow }
- { groups: [], superuser: true, method: GET, url: https://other.test/, expect: allow, rule: access.default }
`

t.test('expectations that hold exit with 0, without a database', async (t) => {
  const config = configFile('config.yaml', RULES)
  const said = await check(HOLDS, config)
  t.match(said, { status: 0, stdout: '10 expectations: all of them hold.\n', stderr: '' })
  const json = await check(HOLDS, config, '--json')
  t.strictSame([json.status, JSON.parse(json.stdout)], [0, { checked: 10, failed: [] }])
})

t.test('those that do not exit with 1 and are shown with both places', async (t) => {
  const text = `
- { nobody: true, method: GET, url: https://netbox.test/static/x, expect: sign-in }
- { groups: [Circuits], method: POST, url: https://netbox.test/, expect: allow, rule: 2 }
- { groups: [Circuits], method: POST, url: https://netbox.test/, expect: allow, rule: Changes }
`
  const config = configFile('config.yaml', RULES)
  const { status, stdout } = await check(text, config)
  t.equal(status, 1)
  const [first, wanted, found, second, , other] = stdout.split('\n')
  t.match(first, /^\/.*expectations\.yaml:2:3: GET https:\/\/netbox\.test\/static\/x by nobody$/)
  t.equal(wanted, '  - expected sign-in')
  t.match(found, /^ {2}\+ found allow by Static files, access\.rules\[0\] \(.*config\.yaml:\d+:\d+\), which is open to/)
  t.match(second, /expectations\.yaml:3:3: POST .* by a member of Circuits$/)
  t.match(other, /^ {2}\+ found allow by Changes, access\.rules\[3\]/)
  t.match(stdout, /3 expectations: 2 of them do not hold\.\n$/)
  const json = await check(text, config, '--json')
  t.equal(json.status, 1)
  t.match(JSON.parse(json.stdout), {
    checked: 3,
    failed: [
      {
        line: 2,
        column: 3,
        expected: { outcome: 'sign-in', rule: null },
        found: { outcome: 'allow', name: 'Static files' },
      },
      { line: 3, column: 3, expected: { outcome: 'allow', rule: 2 }, found: { rule: 'access.rules[3]' } },
    ],
  })
})

// proves: policy-check-without-database
t.test('--with checks the rules of another configuration', async (t) => {
  const config = configFile('config.yaml', RULES)
  const next = configFile('next.yaml', [{ ...RULES[0], allow: 'authenticated' }, ...RULES.slice(1)])
  const line = '- { nobody: true, method: GET, url: https://netbox.test/static/x, expect: sign-in, rule: Static files }'
  t.equal((await check(line, config)).status, 1)
  t.equal((await check(line, config, '--with', next)).status, 0)
  t.equal((await check(line, join(directory, 'missing.yaml'), '--with', next)).status, 0)
  writeFileSync(join(directory, 'broken.yaml'), 'access: 7\n')
  t.equal((await check(line, config, '--with', join(directory, 'broken.yaml'))).status, 78)
})

t.test('shadow rules decide nothing here either', async (t) => {
  const shadow = { hosts: ['netbox.test'], allow: 'deny', enforce: false }
  const config = configFile('shadow.yaml', [shadow, ...RULES])
  const line = '- { nobody: true, method: GET, url: https://netbox.test/static/x, expect: allow, rule: Static files }'
  t.equal((await check(line, config)).status, 0)
})

t.test('a file that is not usable exits with 2 and every problem with its place', async (t) => {
  const config = configFile('config.yaml', RULES)
  const { status, stderr } = await check(
    `- { nobody: false, method: get, url: netbox.test/, expect: yes }
- { user: max, groups: [], method: GET, url: https://netbox.test/, expect: allow, extra: 1 }
- { method: GET, url: https://netbox.test/, expect: deny, rule: -1 }
- { user: max, staff: true, method: GET, url: https://netbox.test/, expect: deny }
- { nobody: true, method: GET, expect: allow }
- 7
`,
    config,
  )
  t.equal(status, 2)
  const places = [...stderr.matchAll(/expectations\.yaml:(\d+:\d+)/g)].map(([, place]) => place)
  t.strictSame(places, ['1:13', '1:28', '1:38', '1:60', '2:90', '2:3', '3:65', '3:3', '4:23', '5:3', '6:3'])
  for (const text of ['- { nobody: true', '{}', '']) t.equal((await check(text, config)).status, 2, text)
  t.equal((await runInProcess(['access', 'check', join(directory, 'none.yaml'), '--config', config])).status, 2)
})

t.test('users are read from the database, and one who is unknown is a difference', async (t) => {
  const config = configFile('users.yaml', RULES, await freshDatabase(t))
  const gatehouse = async (...args: string[]) => (await runInProcess([...args, '--config', config])).status
  t.equal(await gatehouse('migrate'), 0)
  t.equal(await gatehouse('users', 'add', 'max'), 0)
  const { status, stdout } = await check(
    `- { user: max, method: POST, url: https://netbox.test/, expect: deny, rule: Changes }
- { user: moritz, method: POST, url: https://netbox.test/, expect: deny }
`,
    config,
  )
  t.equal(status, 1)
  t.match(stdout, /expectations\.yaml:2:3: POST .* by moritz\n {2}- expected deny\n {2}\+ found .*moritz/)
  t.match(stdout, /1 of them do not hold/)
  const unreachable = await check(
    '- { user: max, method: GET, url: https://netbox.test/, expect: deny }',
    configFile(
      'config.yaml',
      RULES,
    ),
  )
  t.equal(unreachable.status, 1)
  t.match(unreachable.stderr, /database/)
})

t.test('the line of a tested request is an expectation that holds', async (t) => {
  const rule = (parts: Partial<AccessRule>): AccessRule => ({
    hosts: ['netbox.test'],
    networks: undefined,
    methods: undefined,
    paths: undefined,
    allow: 'authenticated',
    ...parts,
  })
  const staff = { groups: ['A "quoted": name'], permissions: ['netbox.view'], isStaff: true, isSuperuser: false }
  const rules = [
    rule({ name: 'Name: with } and "quotes"', paths: ['/x'], allow: 'anyone' }),
    rule({
      networks: ['10.0.0.0/8'],
      allow: { groups: staff.groups, permissions: [], staff: undefined, superuser: undefined },
    }),
  ]
  const admin = createAccessTestAdmin({
    policy: () => ({
      access: { default: 'deny', rules },
      groupMapping: [],
      headers: { families: [], maxBytes: 8_192, extra: [] },
    }),
    users: {
      find: async () => {
        throw new GatehouseError('user_unknown')
      },
    },
    localGroups: { named: async () => [] },
    networkTest,
  })
  const inputs = [
    { method: 'GET', url: 'https://netbox.test/x' },
    { method: 'GET', url: 'https://netbox.test/y?a="b"#'.slice(0, -1), rights: staff, address: '10.1.1.1' },
    { method: 'POST', url: 'https://other.test/', rights: { ...staff, isSuperuser: true } },
  ]
  for (const input of inputs) {
    const line = expectationLine(input, await admin.test(input))
    const [read] = readExpectations(expectations(line))
    t.match(await createAccessCheck(admin).check(read as Expectation), { holds: true }, line)
    t.ok(read?.rule !== undefined)
  }
})
