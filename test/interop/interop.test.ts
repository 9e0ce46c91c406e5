// Software we did not write on the other side: our client against two foreign authorities, Microsoft's own client
// against our simulated Entra ID. By configuration and claims alone: nothing in src knows of any of them.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { createDirectory } from '../../src/demo/directory.js'
import { createRegistration } from '../../src/demo/entra/registration.js'
import { startEntra } from '../../src/demo/entra/server.js'
import {
  DEMO_CLIENT_ID,
  DEMO_TENANT_ID,
  GROUP_IDS,
  PEOPLE,
  PERSON_IDS,
  seedDemoDirectory,
} from '../../src/demo/people.js'
import { createBrowser } from '../helpers/browser.js'
import { CLIENT_SECRET, freePorts, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { writePair } from '../helpers/key-pair.js'
import { run } from '../helpers/programs.js'
import { connect } from '../helpers/sql.js'

const execute = promisify(execFile)

const person = { id: PERSON_IDS.nested, name: PEOPLE.nested.displayName, upn: PEOPLE.nested.userPrincipalName }

async function startBehind(t: Test, script: string): Promise<{ gateway: TestGateway, tokens: readonly string[] }> {
  const [port = 0] = await freePorts(1)
  const tokens: string[] = []
  const gateway = await startTestGateway(t, {
    config: { admin: { acrs: 'c7' }, entra: { authorityHost: `http://127.0.0.1:${port}` } },
    entra: {
      acceptToken: (token) => {
        tokens.push(token)
        return { userId: String(decodeJwt(token).sub), permissions: ['User.Read'] }
      },
    },
  })
  const wish = {
    port,
    tenantId: DEMO_TENANT_ID,
    clientId: DEMO_CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    redirectUri: `${gateway.url}/oauth2/callback`,
    graphScope: `${gateway.entra.graphUrl}/User.Read`,
    person,
  }
  await run(t, process.execPath, [script, JSON.stringify(wish)], { ready: (output) => output.includes('listening') })
  return { gateway, tokens }
}

async function signsInThrough(t: Test, script: string): Promise<void> {
  const { gateway, tokens } = await startBehind(t, script)
  const browser = createBrowser()
  const answer = await browser.follow(`${gateway.url}/oauth2/start`)
  t.equal(answer.status, 200)
  t.match(answer.text, person.name)
  const check = await gateway.ask('/oauth2/auth', { browser })
  t.equal(check.status, 200)
  t.equal(check.headers.get('x-auth-request-user'), person.upn)
  t.equal(
    check.headers.get('x-auth-request-groups'),
    'Network Engineers',
    'a nested group, by the token that the foreign authority issued',
  )
  t.same(await (await connect(t, gateway.databaseUrl))('select tid, oid from identities'), [{
    tid: DEMO_TENANT_ID,
    oid: person.id,
  }])
  t.equal(tokens.length, 1)
  t.equal(
    gateway.entra.requests.filter(({ server }) => server === 'login').length,
    0,
    'the simulated login server was not asked',
  )
}

t.test('a login through oidc-provider', (t) => signsInThrough(t, 'test/interop/oidc-provider.mjs'))
t.test('the console through oidc-provider, which confirms with auth_time and acrs', async (t) => {
  const { gateway } = await startBehind(t, 'test/interop/oidc-provider.mjs')
  const browser = createBrowser()
  await browser.follow(`${gateway.url}/oauth2/start`)
  const answer = await browser.follow(`${gateway.url}/admin/people`)
  t.match(answer.trail[1], /[?&]prompt=login(?:&|$)/)
  t.equal(answer.status, 200)
  t.ok(browser.cookies.get('127.0.0.1')?.has('gatehouse_admin'))
  const contexts = async () => (await connect(t, gateway.databaseUrl))('select acrs from admin_sessions')
  t.same(await contexts(), [{ acrs: null }])
  const again = await browser.follow(`${gateway.url}/admin/step-up`)
  t.equal(again.status, 200, again.trail.join(' '))
  t.same(await contexts(), [{ acrs: 'c7' }], 'which gives the context that the claims request asks for')
})
t.test('a login through oauth2-mock-server', (t) => signsInThrough(t, 'test/interop/oauth2-mock-server.mjs'))

t.test("Microsoft's own client against the simulated Entra ID, over TLS", async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-msal-'))
  t.teardown(() => rmSync(home, { recursive: true }))
  const { pem, certificate } = writePair(home)
  const redirectUri = 'https://gate.example/oauth2/callback'
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({
    directory,
    tls: true,
    app: createRegistration({
      redirectUris: [redirectUri],
      secret: 's3cret~with +odd%chars',
      certificates: [{ pem }],
      applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'],
    }),
  })
  t.teardown(() => entra.close())
  writeFileSync(join(home, 'ca.pem'), entra.caPem ?? '')
  const msal = async (credential: object): Promise<Record<string, unknown>> => {
    const wish = {
      authority: `${entra.url}/${DEMO_TENANT_ID}`,
      clientId: entra.app.clientId,
      redirectUri,
      graphUrl: entra.graphUrl,
      person: person.id,
      ...credential,
    }
    const { stdout } = await execute(process.execPath, ['test/interop/msal-node.mjs', JSON.stringify(wish)], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: join(home, 'ca.pem') },
    })
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const expected = {
    account: person.id,
    tenant: DEMO_TENANT_ID,
    username: person.upn,
    oid: person.id,
    delegated: directory.transitiveMemberOf(person.id).length,
    application: directory.transitiveMemberOf(person.id).length,
  }
  t.ok(directory.transitiveMemberOf(person.id).includes(GROUP_IDS.networkEngineers))
  t.match(await msal({ clientSecret: 's3cret~with +odd%chars' }), expected, 'with a secret')
  const privateKey = readFileSync(join(home, 'key.pem'), 'utf8')
  t.match(
    await msal({ certificate: { privateKey, thumbprintSha256: certificate.fingerprint256.replaceAll(':', '') } }),
    expected,
    'with a certificate',
  )
  const refused = await msal({ clientSecret: 'wrong' }).catch((error: { stderr: string }) => error)
  t.match(refused.stderr, /AADSTS7000215/, "and it reads our errors as Entra's")
})
