// Planted canaries: after a full run at level trace, with failures and a crash, no token, code, secret or cookie stands
// in the log, in the crash's output or anywhere in the database, raw, in base64 or URL-encoded.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { createDirectory } from '../src/demo/directory.js'
import { startEntra } from '../src/demo/entra/server.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS, seedDemoDirectory } from '../src/demo/people.js'
import { createBrowser, type Browser } from './helpers/browser.js'
import { CLIENT_SECRET, ENCRYPTION_SECRET, freePorts, pickPerson, SESSION_SECRET } from './helpers/gateway.js'
import { freshDatabase } from './helpers/postgres.js'
import { run } from './helpers/programs.js'
import { connect, dump } from './helpers/sql.js'

const CRASH = 'data:text/javascript,process.once("SIGUSR2",()=>setImmediate(()=>{throw new Error("a planted crash")}))'

// proves: tokens-forgotten
t.test('no secret, token or cookie is in the log, the output of a crash or the database', async (t) => {
  const databaseUrl = await freshDatabase(t)
  const [port = 0, management = 0] = await freePorts(2)
  const publicUrl = `http://127.0.0.1:${port}`
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({
    directory,
    app: {
      clientId: DEMO_CLIENT_ID,
      redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`],
      secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: CLIENT_SECRET }],
      applicationPermissions: [],
      delegatedPermissions: ['User.Read'],
      optionalClaims: ['email', 'sid', 'login_hint', 'xms_edov'],
    },
  })
  t.teardown(() => entra.close())
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-canary-'))
  t.teardown(() => rmSync(home, { recursive: true }))
  const password = decodeURIComponent(new URL(databaseUrl).password)
  writeFileSync(
    join(home, 'gatehouse.yaml'),
    stringify({
      server: {
        publicUrl,
        host: '127.0.0.1',
        port,
        management: { port: management },
        redirectDomains: ['127.0.0.1:*'],
      },
      entra: {
        tenantId: DEMO_TENANT_ID,
        clientId: DEMO_CLIENT_ID,
        clientSecret: CLIENT_SECRET,
        authorityHost: entra.url,
        graphUrl: entra.graphUrl,
        allowHttp: true,
        loginBudget: '2s',
      },
      database: { url: databaseUrl },
      session: { secrets: [SESSION_SECRET] },
      keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
      groupMapping: [{ entraGroup: GROUP_IDS.netboxSuperusers, groups: ['NetBox Superusers'], superuser: true }],
      log: { level: 'trace', access: 'all' },
    }),
  )
  const serving = await run(t, process.execPath, [
    '--import',
    CRASH,
    'dist/cli.js',
    'serve',
    '--config',
    join(home, 'gatehouse.yaml'),
  ], { ready: (output) => output.includes('configuration in force') })

  const planted = new Set([CLIENT_SECRET, SESSION_SECRET, ENCRYPTION_SECRET, ...(password === '' ? [] : [password])])
  const keepCookies = (browser: Browser): void => {
    for (const [name, value] of browser.cookies.get('127.0.0.1') ?? []) {
      if (name.startsWith('gatehouse')) {
        for (const part of [value, decodeURIComponent(value), decodeURIComponent(value).split('.')[0] ?? '']) {
          planted
            .add(part)
        }
      }
    }
  }
  const signIn = async (browser = createBrowser()): Promise<Browser> => {
    const page = await browser.follow(`${publicUrl}/oauth2/start?prompt=select_account`)
    planted.add(new URL(page.url).searchParams.get('state') ?? CLIENT_SECRET)
    await pickPerson(browser, page, PERSON_IDS.superuser)
    keepCookies(browser)
    return browser
  }
  const browser = await signIn()
  for (const path of ['/', '/oauth2/auth', '/oauth2/forward-auth', '/oauth2/userinfo']) {
    await browser.ask(`${publicUrl}${path}`)
  }
  await browser.ask(`${publicUrl}/oauth2/auth`, {
    headers: { authorization: `Bearer ${CLIENT_SECRET}`, 'x-original-url': 'nonsense' },
  })
  const faults: Parameters<typeof entra.faults.add>[0][] = [
    { on: 'token', then: { kind: 'aadsts', code: 7000215 } },
    { on: 'token', then: { kind: 'reset' } },
    { on: 'token', then: { kind: 'html', status: 500 } },
    { on: 'token', then: { kind: 'signWith', how: 'unregistered-key' } },
    {
      on: 'token',
      then: {
        kind: 'mutateClaims',
        change: (claims) => {
          claims.nonce = 'x'
        },
      },
    },
    { on: 'graph', then: { kind: 'cut' } },
    {
      on: 'graph',
      then: {
        kind: 'status',
        status: 403,
        body: { error: { code: 'Authorization_RequestDenied', message: `Bearer ${CLIENT_SECRET}` } },
      },
    },
    { on: 'graph', times: 9, then: { kind: 'hang' } },
  ]
  for (const fault of faults) {
    entra.faults.add(fault)
    await signIn()
    entra.faults.clear()
  }
  const stale = createBrowser()
  await stale.ask(
    `${publicUrl}/oauth2/callback?code=${encodeURIComponent(entra.issuedTokens[0] ?? '')}&state=${[...planted][5]}`,
  )
  await browser.ask(`${publicUrl}/oauth2/sign_out`)
  serving.process.kill('SIGUSR2')
  await new Promise((resolve) => serving.process.once('exit', resolve))

  for (const token of entra.issuedTokens) planted.add(token)
  t.ok(entra.issuedTokens.length > 15, `${entra.issuedTokens.length} codes and tokens were handed out`)
  t.ok(planted.size > 30)
  const output = serving.output()
  t.match(output, /a planted crash/)
  t.ok(output.includes('"level":"trace"') || output.includes('"level":"info"'))
  const stored = await dump(await connect(t, databaseUrl))
  t.match(stored, /sue\.super/)
  for (const [place, text] of [['the log and the crash', output], ['the database', stored]] as const) {
    const found = [...planted].flatMap((secret) =>
      spellings(secret).filter((spelling) => text.includes(spelling)).map(() => secret.slice(0, 12))
    )
    t.same(found, [], place)
  }
  t.ok(
    spellings(CLIENT_SECRET).some((spelling) =>
      `x ${Buffer.from(`a${CLIENT_SECRET}`).toString('base64')}`.includes(spelling)
    ),
    'the search finds what it looks for',
  )
})

/**
 * As it is, URL-encoded, and inside base64 at each of the three offsets (without the characters its neighbours share).
 */
function spellings(secret: string): string[] {
  const inBase64 = [0, 1, 2].flatMap((offset) => {
    const bytes = Buffer.concat([Buffer.alloc(offset, 'x'), Buffer.from(secret)])
    const cut = (text: string): string => text.slice(Math.ceil(offset * 8 / 6) + (offset > 0 ? 1 : 0), -4)
    return [cut(bytes.toString('base64').replace(/=+$/, '')), cut(bytes.toString('base64url'))]
  })
  return [...new Set([secret, encodeURIComponent(secret), ...inBase64])].filter((spelling) => spelling.length >= 10)
}
