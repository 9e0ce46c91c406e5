// `gatehouse check` beyond the file: what the database and Graph say of the names in it, each with its place.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { STEPS } from '../src/core/pipeline/index.js'
import { GROUP_IDS } from '../src/demo/people.js'
import { runInProcess } from './helpers/command.js'
import { startTestGateway } from './helpers/gateway.js'
import { connect, dump } from './helpers/sql.js'

t.test('check also reads the database and Entra ID', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-check-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const gateway = await startTestGateway(t, {
    app: { applicationPermissions: ['GroupMember.Read.All'] },
    groups: ['Network Engineers', 'Circuit Manager', 'Read Only'],
  })
  const OPEN = 'e0000000-0000-4000-8000-0000000000aa'
  const CLOSED = 'e0000000-0000-4000-8000-0000000000bb'
  const LIST = 'e0000000-0000-4000-8000-0000000000cc'
  const { directory: tenant } = gateway.entra
  tenant.addObject({ id: OPEN, type: 'group', displayName: 'Friday Drinks', groupTypes: ['Unified'] })
  tenant.addObject({
    id: CLOSED,
    type: 'group',
    displayName: 'Board',
    groupTypes: ['Unified'],
    visibility: 'Private',
    securityEnabled: true,
  })
  tenant.addObject({ id: LIST, type: 'group', displayName: 'Mailing List', securityEnabled: false })
  const file = join(directory, 'gatehouse.yaml')
  const write = (groupMapping: readonly unknown[], more: Record<string, unknown> = {}): void =>
    writeFileSync(
      file,
      stringify({
        server: { publicUrl: gateway.url },
        entra: {
          tenantId: gateway.config.entra.tenantId,
          clientId: gateway.config.entra.clientId,
          clientSecret: gateway.config.entra.clientSecret,
          authorityHost: gateway.entra.url,
          graphUrl: gateway.entra.graphUrl,
          allowHttp: true,
        },
        database: { url: gateway.databaseUrl },
        session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
        keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
        groupMapping,
        access: { default: 'deny' },
        ...more,
      }),
    )
  const check = (...args: string[]) => runInProcess(['check', '--config', file, ...args])
  const warnings = async (...args: string[]) =>
    (JSON.parse((await check('--json', ...args)).stdout) as {
      warnings: { path: string, code: string, line: number, remedy: string }[]
    }).warnings.filter(({ code }) => code !== 'http_override')
  const query = await connect(t, gateway.databaseUrl)
  const stored = await dump(query)

  // proves: missing-group-checked
  await t.test('a mapped local group that does not exist is reported with the most similar name', async (t) => {
    write([{ entraGroup: GROUP_IDS.circuitManagers, groups: ['Circuit Managers', 'Network Engineers'] }, {
      entraGroup: GROUP_IDS.netboxSuperusers,
      groups: ['Zebra'],
      staff: true,
      superuser: true,
    }])
    const found = await warnings()
    t.match(found, [
      { code: 'group_missing', path: 'groupMapping[0].groups[0]', remedy: /Did you mean "Circuit Manager"\?/ },
      { code: 'group_missing', path: 'groupMapping[1].groups[0]', remedy: 'gatehouse groups add "Zebra"' },
    ])
    t.equal(found.length, 2)
    const { status, stdout } = await check()
    t.equal(status, 0)
    t.match(stdout, new RegExp(`warning: ${file}:${found[0]?.line}:\\d+: `))
    t.strictSame(await warnings('--offline'), [])
    t.equal(await dump(query), stored, 'and writes nothing')
  })

  // proves: open-group
  await t.test('a superuser row for an Entra group that people can join is warned of', async (t) => {
    write(
      [OPEN, CLOSED, LIST, 'e0000000-0000-4000-8000-0000000000dd', GROUP_IDS.netboxSuperusers].map((entraGroup) => ({
        entraGroup,
        staff: true,
        superuser: true,
      })),
    )
    t.match(await warnings(), [
      { code: 'superuser_group_open', path: 'groupMapping[0].entraGroup' },
      { code: 'superuser_group_not_security', path: 'groupMapping[2].entraGroup' },
      { code: 'entra_group_missing', path: 'groupMapping[3].entraGroup' },
    ])
    write([{ entraGroup: OPEN, groups: ['Read Only'] }, {
      entraGroup: GROUP_IDS.netboxSuperusers,
      staff: true,
      superuser: true,
    }])
    t.strictSame(await warnings(), [], "a row that makes no superusers may be anybody's")
  })

  // proves: adv-default-opens, adv-rule-port
  await t.test('hosts that the default opens, and ports that only the client could send, are warned of', async (t) => {
    const superusers = [{ entraGroup: GROUP_IDS.netboxSuperusers, staff: true, superuser: true }]
    write(superusers, {
      access: {
        default: 'deny',
        rules: [{ hosts: ['127.0.0.1', '127.0.0.1:8443', '*.wild.test:9'], allow: { staff: true } }],
      },
    })
    t.match((await warnings('--offline')).filter(({ code }) => code === 'rule_port'), [{
      path: 'access.rules[0].hosts[1]',
      remedy: /X-Forwarded-Port/,
    }, { path: 'access.rules[0].hosts[2]' }])
    write(superusers, { access: { default: 'deny', rules: [{ hosts: ['127.0.0.1'], allow: { staff: true } }] } })
    t.strictSame(
      (await warnings('--offline')).filter(({ code }) => code === 'rule_port' || code === 'default_opens_hosts'),
      [],
    )
    write(superusers, { access: { rules: [{ hosts: ['127.0.0.1'], allow: { staff: true } }] } })
    t.match((await warnings('--offline')).filter(({ code }) => code === 'default_opens_hosts'), [{
      path: 'access.default',
      remedy: /deny/,
    }])
    write(superusers, { access: { default: 'authenticated' } })
    t.strictSame(
      (await warnings('--offline')).filter(({ code }) => code === 'default_opens_hosts'),
      [],
      'without rules it is meant',
    )
  })

  await t.test('access rules that name missing groups, and rules that let guests in, are warned of', async (t) => {
    t.equal((await runInProcess(['groups', 'grant', 'Network Engineers', 'netbox.change', '--config', file])).status, 0)
    const rules = [{
      hosts: ['127.0.0.1'],
      paths: ['/a'],
      allow: { groups: ['Network engineers', 'Read Only'], permissions: ['netbox.chnage', 'netbox.change'] },
    }, { hosts: ['127.0.0.1'], allow: { permissions: ['wiki.edit'] } }]
    write([{ entraGroup: GROUP_IDS.netboxSuperusers, staff: true, superuser: true }], {
      access: { default: 'deny', rules },
    })
    t.match(await warnings(), [
      {
        code: 'access_group_missing',
        path: 'access.rules[0].allow.groups[0]',
        remedy: /Did you mean "Network Engineers"\?/,
      },
      {
        code: 'access_permission_missing',
        path: 'access.rules[0].allow.permissions[0]',
        remedy: /Did you mean "netbox.change"\?/,
      },
      {
        code: 'access_permission_missing',
        path: 'access.rules[1].allow.permissions[0]',
        remedy: 'gatehouse groups grant GROUP wiki.edit',
      },
    ])
    write([{ entraGroup: GROUP_IDS.netboxSuperusers, staff: true, superuser: true }], {
      access: { rules: [{ hosts: ['127.0.0.1'], allow: 'authenticated' }] },
    })
    t.match(await warnings('--offline'), [{ code: 'guests_authenticated', path: 'access.rules[0].allow' }, {
      code: 'default_opens_hosts',
      path: 'access.default',
    }])
    const steps = Object.keys(STEPS).flatMap((name) => name === 'social_user' ? ['auth_allowed', name] : [name])
    write([{ entraGroup: GROUP_IDS.netboxSuperusers, staff: true, superuser: true }], {
      access: {},
      pipeline: steps,
      authAllowed: { guests: false },
    })
    t.strictSame(await warnings('--offline'), [], 'who keeps guests out is not told')
    t.match(
      (await check('--offline')).stdout,
      /^note: authAllowed\.guests: false .* acct .*\n +Add acct/m,
      'and told what that needs',
    )
    write([{ entraGroup: GROUP_IDS.netboxSuperusers, staff: true, superuser: true }], {
      headers: {
        extra: [{ name: 'X-Roles', value: 'groups', separator: ';' }, {
          name: 'X-Words',
          value: 'groups',
          separator: '-',
        }],
      },
    })
    t.strictSame(await warnings(), [])
    const refused = await runInProcess(['groups', 'add', 'Read-Write', '--config', file])
    t.match(refused, { status: 1, stderr: /holds "-", which separates the groups in X-Words/ })
    await query("update groups set name = 'Read-Only' where name = 'Read Only'")
    t.match(await warnings(), [{ code: 'group_name_separator', path: 'headers.extra' }])
  })

  await t.test('a check that could not be made is reported and is no failure', async (t) => {
    write([{ entraGroup: OPEN, groups: ['Nowhere'], staff: true, superuser: true }], {
      database: { url: 'postgres://x:secret-word@127.0.0.1:1/x' },
    })
    gateway.entra.app.applicationPermissions = []
    const { status, stdout } = await check('--json')
    t.equal(status, 0)
    t.match((JSON.parse(stdout) as { skipped: object[] }).skipped, [
      { code: 'database_unavailable', reason: 'refused' },
      { code: 'not_looked_at' },
      { code: 'graph_forbidden', remedy: /GroupMember\.Read\.All/ },
    ])
    t.notMatch(stdout, /secret-word/)
    t.match(
      (await check()).stdout,
      /note: the database was not checked: .*\n.*\nnote: whether the groups [^:]*: not checked because of the database\n/,
    )
  })

  await t.test('a custom step that cannot be loaded is reported with its place in the pipeline', async (t) => {
    writeFileSync(join(directory, 'step.js'), 'export default 1')
    write([], {
      pipeline: Object.keys(STEPS).flatMap((name) => name === 'get_username' ? ['./step.js', name] : [name]),
    })
    const { status, stderr } = await check('--offline')
    t.equal(status, 78)
    t.match(stderr, new RegExp(`${file}:\\d+:\\d+: pipeline\\[3\\] \\./step\\.js: `))
    writeFileSync(join(directory, 'step.js'), 'export default () => {}')
    t.equal((await check('--offline')).status, 0)
  })
})
