// `gatehouse doctor` against a tenant that is right, and against every way it can be wrong.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { STEPS } from '../src/core/pipeline/index.js'
import { FAILURES } from '../src/core/errors.js'
import { GROUP_IDS } from '../src/demo/people.js'
import { applicationPermissions, clockFits } from '../src/checks/entra.js'
import { runInProcess } from './helpers/command.js'
import { CLIENT_SECRET, merge, startTestGateway, type TestGateway, type TestGatewayOptions } from './helpers/gateway.js'
import { connect, dump, endConnections } from './helpers/sql.js'

interface Finding {
  readonly check: string
  readonly state: string
  readonly code: string
  readonly message: string
  readonly remedy?: string
}
interface Visit {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly findings: readonly Finding[]
}
type Doctor = (config?: Record<string, unknown>, ...args: string[]) => Promise<Visit>

const RIGHT: TestGatewayOptions['app'] = {
  applicationPermissions: ['User.Read.All', 'GroupMember.Read.All', 'Application.Read.All'],
  optionalClaims: ['email', 'upn', 'sid', 'login_hint', 'auth_time', 'xms_edov', 'acct', 'given_name', 'family_name'],
}

async function practice(t: Test, options: TestGatewayOptions = {}): Promise<{ gateway: TestGateway, doctor: Doctor }> {
  const gateway = await startTestGateway(t, { ...options, app: { ...RIGHT, ...options.app } })
  gateway.entra.app.frontChannelLogoutUrl ??= `${gateway.url}/oauth2/frontchannel-logout`
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-doctor-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'gatehouse.yaml')
  const { tenantId, clientId } = gateway.config.entra
  const base = {
    server: { publicUrl: gateway.url },
    entra: {
      tenantId,
      clientId,
      clientSecret: CLIENT_SECRET,
      authorityHost: gateway.entra.url,
      graphUrl: gateway.entra.graphUrl,
      allowHttp: true,
      loginBudget: '3s',
    },
    database: { url: gateway.databaseUrl },
    session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
    keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
    groupMapping: [{
      entraGroup: GROUP_IDS.netboxSuperusers,
      groups: ['NetBox Superusers'],
      staff: true,
      superuser: true,
    }],
  }
  const doctor: Doctor = async (config = {}, ...args) => {
    writeFileSync(file, stringify(merge(base, config)))
    writeFileSync(join(directory, 'broken.js'), 'export default 1')
    const { status, stdout, stderr } = await runInProcess(
      ['doctor', '--config', file, ...(args.length > 0 ? args : ['--json'])],
    )
    return {
      status,
      stdout,
      stderr,
      findings: args.length > 0 || status === 78 ? [] : (JSON.parse(stdout) as { results: Finding[] }).results,
    }
  }
  return { gateway, doctor }
}

const bad = ({ findings }: Visit): string[] =>
  findings.filter(({ state, code }) => state !== 'ok' && code !== 'http_override').map(({ state, code }) =>
    `${state} ${code}`
  )

t.test('a correct tenant is healthy, and doctor changes nothing', async (t) => {
  const { gateway, doctor } = await practice(t)
  const query = await connect(t, gateway.databaseUrl)
  const before = await dump(query)
  const visit = await doctor()
  t.strictSame(bad(visit), [])
  t.equal(visit.status, 0)
  t.strictSame(
    new Set(visit.findings.map(({ check }) => check)),
    new Set([
      'configuration',
      'Entra ID',
      'keys',
      'credential',
      'registration',
      'Graph',
      'permissions',
      'superusers',
      'database',
      'groups',
      'audit',
    ]),
  )
  t.equal(await dump(query), before)
})

t.test('the printed table has a remedy for each failure', async (t) => {
  const { gateway, doctor } = await practice(t)
  gateway.entra.app.secrets = [{ id: 'f0000000-0000-4000-8000-000000000009', value: 'another' }]
  const visit = await doctor({}, '--')
  t.equal(visit.status, 1)
  t.match(visit.stdout, /^FAIL {2}credential +Entra ID \(token\): AADSTS7000215\n +entra\.clientSecret is wrong/m)
  t.match(visit.stdout, /^ok {4}Entra ID +the tenant exists/m)
  t.match(visit.stdout, /\n\n\d+ ok, \d+ to look at, 1 failed, \d+ not checked\.\n$/)
  t.notMatch(visit.stdout, CLIENT_SECRET)
})

const GUESTS_REFUSED = {
  authAllowed: { guests: false },
  pipeline: Object.keys(STEPS).flatMap((name) => name === 'social_user' ? ['auth_allowed', name] : [name]),
}
const NOT_LOOKED_AT = (times: number): string[] => Array.from({ length: times }, () => 'skipped not_looked_at')

// proves: adv-acct-claim, adv-doctor-one-cause
t.test('every failure of Entra ID and Graph', async (t) => {
  const { gateway, doctor } = await practice(t)
  const { app, faults } = gateway.entra
  const mended = { ...app }
  const cases: [string, () => Record<string, unknown> | undefined, number, string[]][] = [
    ['a wrong secret', () => ({ entra: { clientSecret: 'wrong~secret' } }), 1, [
      'fail entra_secret_wrong',
      ...NOT_LOOKED_AT(3),
    ]],
    [
      'an expired secret',
      () => {
        app.secrets = [{ id: 'f0000000-0000-4000-8000-000000000001', value: CLIENT_SECRET, expiresAt: Date.now() - 1 }]
      },
      1,
      ['fail entra_secret_expired', ...NOT_LOOKED_AT(3)],
    ],
    [
      'a secret that is about to expire',
      () => {
        app.secrets = [{
          id: 'f0000000-0000-4000-8000-000000000001',
          value: CLIENT_SECRET,
          expiresAt: Date.now() + 86_400_000,
        }, { id: 'f0000000-0000-4000-8000-000000000002', value: 'other' }]
      },
      0,
      ['warn credential_expiry'],
    ],
    ['another tenant', () => ({ entra: { tenantId: '99999999-0000-4000-8000-000000000000' } }), 1, [
      'fail entra_tenant_unknown',
      ...NOT_LOOKED_AT(6),
    ]],
    ['another application', () => ({ entra: { clientId: '99999999-0000-4000-8000-000000000000' } }), 1, [
      'fail entra_app_unknown',
      ...NOT_LOOKED_AT(4),
    ]],
    [
      'a redirect URI that is not registered',
      () => {
        app.redirectUris = [`${gateway.url}/oauth2/callback/`]
      },
      1,
      ['fail redirect_uri_missing'],
    ],
    [
      'the same where the registration cannot be seen',
      () => {
        app.redirectUris = []
        app.applicationPermissions = ['GroupMember.Read.All']
      },
      1,
      ['fail entra_redirect_mismatch', 'skipped registration_hidden'],
    ],
    [
      'a registration that cannot be seen',
      () => {
        app.applicationPermissions = ['GroupMember.Read.All']
      },
      0,
      ['skipped registration_hidden'],
    ],
    [
      'no application permission',
      () => {
        app.applicationPermissions = []
      },
      0,
      ['skipped graph_forbidden', 'skipped registration_hidden', 'warn graph_permission'],
    ],
    [
      'no application permission, and sync',
      () => {
        app.applicationPermissions = []
        return { sync: {} }
      },
      1,
      ['fail graph_permission', 'skipped graph_forbidden', 'skipped registration_hidden'],
    ],
    [
      'the permission for groups alone, and sync',
      () => {
        app.applicationPermissions = ['GroupMember.Read.All']
        return { sync: {} }
      },
      1,
      ['fail graph_permission', 'skipped registration_hidden'],
    ],
    ['sync without a sight of hidden memberships', () => ({ sync: {} }), 0, ['warn hidden_memberships']],
    [
      'sync with it',
      () => {
        app.applicationPermissions = [...app.applicationPermissions, 'Member.Read.Hidden']
        return { sync: {} }
      },
      0,
      [],
    ],
    [
      'no front-channel logout and few claims',
      () => {
        delete app.frontChannelLogoutUrl
        app.optionalClaims = ['email']
      },
      0,
      ['warn logout_url_missing', 'warn optional_claims_missing'],
    ],
    [
      'guests refused without the claim that tells them',
      () => {
        app.optionalClaims = ['email']
        return GUESTS_REFUSED
      },
      1,
      ['fail acct_claim_missing'],
    ],
    ['guests refused with it', () => GUESTS_REFUSED, 0, []],
    ['a context without its claim', () => ({ admin: { acrs: 'c1' } }), 0, [
      'warn admin_acrs_policy',
      'warn optional_claims_missing',
    ]],
    [
      'a discovery document of another tenant',
      () => {
        faults.add({
          on: 'discovery',
          then: { kind: 'body', body: { issuer: 'https://login.microsoftonline.com/other/v2.0' } },
        })
      },
      1,
      ['fail issuer_differs'],
    ],
    [
      'no keys',
      () => {
        faults.add({ on: 'keys', then: { kind: 'body', body: { keys: [] } } })
      },
      1,
      ['fail entra_keys_unavailable'],
    ],
    [
      'Entra ID that hangs up',
      () => {
        for (const on of ['discovery', 'keys', 'token', 'authorize'] as const) {
          faults.add({
            on,
            times: Infinity,
            then: { kind: 'reset' },
          })
        }
      },
      1,
      ['fail entra_unavailable', ...NOT_LOOKED_AT(6)],
    ],
    [
      'Graph that is down',
      () => {
        faults.add({ on: 'graph', times: Infinity, then: { kind: 'html', status: 503 } })
      },
      1,
      ['fail graph_unavailable', ...NOT_LOOKED_AT(3)],
    ],
    ['nothing at all where Entra ID should be', () => ({ entra: { authorityHost: 'http://127.0.0.1:1' } }), 1, [
      'fail entra_unavailable',
      ...NOT_LOOKED_AT(6),
    ]],
  ]
  for (const [name, harm, status, expected] of cases) {
    const visit = await doctor(harm() ?? {})
    t.strictSame(bad(visit).sort(), [...expected].sort(), name)
    t.equal(visit.status, status, name)
    for (const finding of visit.findings) {
      if (finding.state !== 'ok' && finding.code !== 'not_looked_at') {
        t.ok(finding.remedy, `${name}: ${finding.code} has a remedy`)
      }
    }
    for (const { code } of visit.findings) {
      if (code.startsWith('entra_') || code.startsWith('graph_')) {
        t.ok(code in FAILURES || ['graph_permission'].includes(code), code)
      }
    }
    faults.clear()
    Object.assign(app, mended)
  }
})

// proves: adv-hidden-doctor
t.test('hidden memberships are warned of if the token cannot be read, and not without sync', async (t) => {
  const ask = (roles: readonly string[] | undefined) => ({
    mayRead: async () => true,
    applicationRoles: async () => roles,
  })
  const hidden = async (sync: boolean, roles: readonly string[] | undefined) =>
    (await applicationPermissions({ sync }, ask(roles))()).filter(({ code }) => code === 'hidden_memberships')
  t.match(await hidden(true, undefined), [{ state: 'skipped', remedy: /Member\.Read\.Hidden/ }])
  t.match(await hidden(true, []), [{ state: 'warn', remedy: /Member\.Read\.Hidden/ }])
  t.match(await hidden(true, ['Member.Read.Hidden']), [{ state: 'ok' }])
  t.strictSame(await hidden(false, []), [])
})

t.test('clocks', async (t) => {
  const skewed = { now: () => Date.now() + 400_000 }
  const { doctor } = await practice(t, { entra: skewed })
  const visit = await doctor()
  t.ok(bad(visit).includes('fail clock_skew'), bad(visit).join(', '))
  t.match(clockFits('x', 90_000), { state: 'warn', code: 'clock_skew' })
  t.match(clockFits('x', -90_000), { state: 'warn', message: /90 seconds behind/ })
  t.match(clockFits('x', -1_500), { state: 'ok' })
  t.match(clockFits('x', -301_000), { state: 'fail' })
  t.match(clockFits('x', undefined), { state: 'skipped' })
})

t.test('every failure of the database, the mapping and the configuration', async (t) => {
  const { gateway, doctor } = await practice(t)
  t.strictSame(
    bad(
      await doctor({
        groupMapping: [{
          entraGroup: GROUP_IDS.netboxSuperusers,
          groups: ['NetBox superusers'],
          staff: true,
          superuser: true,
        }],
      }),
    ),
    ['warn group_missing'],
  )
  t.strictSame(bad(await doctor({ database: { url: 'postgres://x:hunter2@127.0.0.1:1/x' } })), [
    'fail database_unavailable',
    ...NOT_LOOKED_AT(2),
  ])
  const broken = await doctor({
    pipeline: Object.keys(STEPS).flatMap((name) => name === 'get_username' ? ['./broken.js', name] : [name]),
  })
  t.strictSame(bad(broken), ['fail step_unusable'])
  t.equal(broken.status, 1)
  t.equal((await doctor({ server: { publicUrl: 'nonsense' } })).status, 78)
  t.strictSame(bad(await doctor({ database: { url: undefined, embedded: true, dataDir: './nothing-here' } })), [
    'skipped database',
  ])
  await gateway.close()
  const query = await connect(t, gateway.databaseUrl)
  await query('truncate drizzle.__drizzle_migrations')
  t.strictSame(bad(await doctor()), ['fail migrations_pending', ...NOT_LOOKED_AT(2)])
})

t.test('a transaction that stays open is named, with what ends it', async (t) => {
  const { gateway, doctor } = await practice(t)
  const open = await connect(t, gateway.databaseUrl)
  await open("set application_name = 'report'")
  await open('begin')
  const [{ pid }] = await open<{ pid: number }>('select pg_backend_pid() as pid, pg_current_xact_id()') as [
    { pid: number },
  ]
  t.strictSame(bad(await doctor()), [], 'it is young')
  // No transaction is ten minutes old in a test: a view before pg_catalog shows this one as older.
  const query = await connect(t, gateway.databaseUrl)
  const database = new URL(gateway.databaseUrl).pathname.slice(1)
  await query(`create schema aged; create view aged.pg_stat_activity as
    select pid, xact_start - interval '11 minutes' as xact_start, backend_xid, backend_xmin, application_name, usename,
      datname from pg_catalog.pg_stat_activity where application_name = 'report' and datname = '${database}'`)
  await query(`alter database ${database} set search_path = public, aged, pg_catalog`)
  const visit = await doctor()
  t.strictSame(bad(visit), ['warn database_old_transaction'])
  const named = `process ${pid} (report) in the database ${database}`
  t.match(visit.findings.find(({ code }) => code === 'database_old_transaction'), {
    message: `a transaction has been open for 11 minutes: ${named}.`,
    remedy: /pg_terminate/,
  })
  t.match((await doctor({}, '--')).stdout, named, 'in the table too')
  await endConnections(query, `pid = ${pid}`)
  t.strictSame(bad(await doctor()), [], 'the remedy ends it')
})
