// The client that the server and the commands share: one HTTP client, and the endpoints and credential of a tenant.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { noTracer, type Tracer } from '../../src/core/tracer.js'
import { createRegistration } from '../../src/demo/entra/registration.js'
import { startEntra } from '../../src/demo/entra/server.js'
import { createDirectory } from '../../src/demo/directory.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../../src/demo/people.js'
import { createEntraClient, type EntraClientOptions, type EntraSettings } from '../../src/entra/client.js'
import { setProxies, startTrap } from './helper.js'

const OTHER_TENANT_ID = 'b7a3c1de-0000-4000-8000-000000000002'

const SETTINGS: EntraSettings = {
  tenantId: DEMO_TENANT_ID,
  allowedTenants: [],
  cloud: 'global',
  clientId: DEMO_CLIENT_ID,
  clientSecret: 'first secret',
  certificate: undefined,
  federatedTokenFile: undefined,
  caFile: undefined,
}

function create(t: Test, settings: Partial<EntraSettings> = {}, options: EntraClientOptions = {}) {
  const current = { ...SETTINGS, ...settings }
  const client = createEntraClient(() => current, options)
  t.teardown(() => client.close())
  return { client, current }
}

const get = (url: string) => ({ url, method: 'GET' as const, headers: {}, signal: AbortSignal.timeout(5_000) })

t.test('with one tenant, sign-ins and the application use the endpoints of that tenant', async (t) => {
  const { client: { http, signIn, appOnly } } = create(t, { cloud: 'usgov', securityGroupsOnly: true })
  t.equal(signIn.endpoints.token, `https://login.microsoftonline.us/${DEMO_TENANT_ID}/oauth2/v2.0/token`)
  t.ok(signIn.endpoints.scopes.includes('https://graph.microsoft.us/GroupMember.Read.All'))
  t.strictSame(appOnly.endpoints, signIn.endpoints)
  for (const [name, connection] of Object.entries({ signIn, appOnly })) {
    t.equal(connection.http, http, `${name}: the shared HTTP client`)
    t.equal(connection.clientId, DEMO_CLIENT_ID, `${name}: client ID`)
  }
})

t.test('with several tenants, the first allowed one issues the tokens of the application', async (t) => {
  const allowedTenants = [OTHER_TENANT_ID, DEMO_TENANT_ID]
  const { client: { signIn, appOnly } } = create(t, { tenantId: 'organizations', allowedTenants })
  t.equal(signIn.endpoints.token, 'https://login.microsoftonline.com/organizations/oauth2/v2.0/token')
  t.equal(appOnly.endpoints.token, `https://login.microsoftonline.com/${OTHER_TENANT_ID}/oauth2/v2.0/token`)
  t.equal(appOnly.endpoints.issuer, `https://login.microsoftonline.com/${OTHER_TENANT_ID}/v2.0`)
})

t.test('a rotated client secret is used without a new client', async (t) => {
  const { client: { signIn, appOnly }, current } = create(t)
  t.strictSame(await signIn.credential.parameters(), { client_secret: 'first secret' }, 'before the rotation')
  Object.assign(current, { clientSecret: 'second secret' })
  t.strictSame(await signIn.credential.parameters(), { client_secret: 'second secret' }, 'sign-ins')
  t.strictSame(await appOnly.credential.parameters(), { client_secret: 'second secret' }, 'the application')
})

t.test('every request is counted, traced and decides the reachability of its part', async (t) => {
  setProxies(t, {})
  const entra = await startTrap(t, () => ({ status: 500, body: '' }))
  const graph = await startTrap(t, () => ({ status: 200, body: '{}' }))
  const counted: [string, number][] = []
  const spans: string[] = []
  const tracer: Tracer = {
    ...noTracer(),
    enabled: true,
    part: (name, facts, work) => {
      spans.push(name)
      return noTracer().part(name, facts, work)
    },
  }
  const { client } = create(
    t,
    { authorityHost: entra.url, graphUrl: graph.url },
    { tracer, noteRequest: (part, status) => counted.push([part, status]) },
  )
  t.match(
    client.http.reachability(),
    { entra: { state: 'unknown' }, graph: { state: 'unknown' } },
    'before any request',
  )
  await client.appOnly.http.send(get(client.appOnly.endpoints.token))
  await client.signIn.http.send(get(`${client.signIn.endpoints.graph}/v1.0/me`))
  t.strictSame(counted, [['entra', 500], ['graph', 200]], 'counted')
  t.strictSame(spans, ['entra token request', 'graph request'], 'traced')
  t.match(client.http.reachability(), { entra: { state: 'failing' }, graph: { state: 'ok' } }, 'reachability')
})

t.test('entra.caFile is trusted', async (t) => {
  setProxies(t, {})
  const entra = await startEntra({
    directory: createDirectory(DEMO_TENANT_ID),
    tls: true,
    app: createRegistration({ redirectUris: [], secret: 'x' }),
  })
  t.teardown(() => entra.close())
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-entra-client-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const caFile = join(directory, 'ca.pem')
  writeFileSync(caFile, entra.caPem ?? '')
  const keys = async (settings: Partial<EntraSettings>) => {
    const { client: { http, signIn } } = create(t, { authorityHost: entra.url, ...settings })
    return await http.send(get(signIn.endpoints.keys)).then(
      ({ status }) => status,
      ({ kind }: { kind: string }) => kind,
    )
  }
  t.equal(await keys({ caFile }), 200, 'with the CA file')
  t.equal(await keys({}), 'network', 'without it')
})
