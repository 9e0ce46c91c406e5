// Names from the outside: people who are renamed or made anew, the commands about them, and what applications are told.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PEOPLE, PERSON_IDS } from '../src/demo/people.js'
import { createPeopleStore } from '../src/store/people.js'
import type { Browser } from './helpers/browser.js'
import { runInProcess, type CommandResult } from './helpers/command.js'
import { ENCRYPTION_SECRET, SESSION_SECRET, startTestGateway, type TestGateway } from './helpers/gateway.js'
import { HOUR, scene } from './helpers/reevaluation.js'
import { TARGET } from './helpers/targets.js'
import { until } from './helpers/until.js'

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-names-'))
t.teardown(() => rmSync(directory, { recursive: true }))

/** What this replica answers; all replicas have one publicUrl. */
async function ask({ url, config }: TestGateway, browser: Browser, path: string): Promise<Response> {
  const headers = { ...TARGET, cookie: browser.cookieHeader(url) }
  return await fetch(`http://127.0.0.1:${config.server.port}${path}`, { headers })
}

async function header(gateway: TestGateway, browser: Browser, name: string): Promise<string | null> {
  return (await ask(gateway, browser, '/oauth2/auth')).headers.get(name)
}

/** The command line on this gateway's database. */
function commands({ databaseUrl }: TestGateway): (...args: string[]) => Promise<CommandResult> {
  const file = join(directory, 'gatehouse.yaml')
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', host: '127.0.0.1', port: 0, management: { port: 0 } },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url: databaseUrl },
      session: { secrets: [SESSION_SECRET] },
      keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
      reservedUsernames: ['root'],
    }),
  )
  return (...args) => runInProcess([...args, '--config', file])
}

t.test('people are found by their latest UPN in Entra ID', async (t) => {
  const gateway = await startTestGateway(t, { app: { optionalClaims: ['upn', 'email'] } })
  const gatehouse = commands(gateway)
  const { users } = gateway.entra.directory
  Object.assign(users.get(PERSON_IDS.staff)!, { userPrincipalName: "sinéad.o'brien@contoso.example" })
  await gateway.signIn(PERSON_IDS.staff)
  const shown = await gatehouse('users', 'show', "SINÉAD.O'BRIEN@contoso.example")
  t.equal(shown.status, 0, shown.stderr)
  t.match(shown.stdout, /^sinad\.obrien@contoso\.example/)
  t.match(shown.stdout, /\n {2}UPN +sinéad\.o'brien@contoso\.example, as of 20\d\d-/)
  Object.assign(users.get(PERSON_IDS.staff)!, { userPrincipalName: 'sinéad@contoso.example' })
  await gateway.signIn(PERSON_IDS.staff)
  const upn = 'sinéad@contoso.example'
  const json = JSON.parse((await gatehouse('users', 'show', upn, '--json')).stdout) as object
  t.match(json, { username: 'sinad.obrien@contoso.example', identities: [{ upn, upnSeenAt: String }] })
  const tested = await gatehouse('access', 'test', 'https://app.test/', '--method', 'GET', '--user', upn)
  t.match(tested.stdout, /^allowed: .* by sinad\.obrien@/)
  t.match((await gatehouse('audit', 'list', '--user', upn)).stdout, /login +login +sinad\.obrien@/)
  t.match((await gatehouse('sessions', 'list', '--user', upn)).stdout, /sinad\.obrien@/)
  t.match((await gatehouse('sessions', 'revoke', '--user', upn)).stdout, /2 sessions ended/)
  const old = await gatehouse('sessions', 'revoke', '--user', "sinéad.o'brien@contoso.example")
  t.equal(old.status, 1)
  t.match(old.stderr, /there is no user/)
})

// proves: adv-upn-of-graph
t.test('guests are found by their UPN in this tenant once Graph has returned it', async (t) => {
  const { gateway, signIn, age, run } = await scene(t)
  const people = createPeopleStore(gateway.gateway.database, gateway.config.session)
  await signIn('guest')
  const upn = PEOPLE.guest.userPrincipalName
  await age(HOUR)
  await run()
  for (const name of [upn, upn.toUpperCase()]) t.equal((await people.find(name)).username, 'gus.guest@fabrikam.example')
})

t.test('an account that was deleted and created again with the same UPN', async (t) => {
  const one = await startTestGateway(t)
  const entra = { authorityHost: one.entra.url, graphUrl: one.entra.graphUrl }
  const beside = { server: { publicUrl: one.url }, entra }
  const two = await startTestGateway(t, { databaseUrl: one.databaseUrl, config: beside })
  const gatehouse = commands(one)
  const { directory: tenant } = one.entra
  const { userPrincipalName } = PEOPLE.staff
  await one.signIn(PERSON_IDS.staff)
  tenant.removeUser(PERSON_IDS.staff)
  Object.assign(tenant.users.get(PERSON_IDS.nobody)!, { userPrincipalName, mail: userPrincipalName })
  const { browser } = await one.signIn(PERSON_IDS.nobody)
  const suffixed = await header(one, browser, 'remote-user') ?? ''

  // proves: adv-namesake-noted
  await t.test('is another user with a suffix, and commands note that the name belongs to the old one', async (t) => {
    t.match(suffixed, /^sam\.staff-[0-9a-f]{8}@contoso\.example$/)
    const shown = await gatehouse('users', 'show', userPrincipalName)
    t.match(shown.stdout, new RegExp(`object ID ${PERSON_IDS.staff}`))
    t.match(shown.stderr, new RegExp(`about the user ${userPrincipalName}; .* another user, ${suffixed}`))
    t.match((await gatehouse('users', 'show', suffixed)).stdout, new RegExp(`object ID ${PERSON_IDS.nobody}`))
  })

  // proves: adv-release-asks
  await t.test('gets the name when the old user is removed and the name released, on every replica', async (t) => {
    t.equal(await header(two, browser, 'remote-user'), suffixed)
    t.equal((await gatehouse('users', 'rename', suffixed, userPrincipalName)).status, 1, 'it is in use')
    t.equal((await gatehouse('users', 'remove', userPrincipalName)).status, 0)
    const reserved = await gatehouse('users', 'rename', suffixed, userPrincipalName)
    t.equal(reserved.status, 1, 'it is reserved')
    t.match(reserved.stderr, /users release NAME --yes --now/)
    t.match(await gatehouse('users', 'release', userPrincipalName, '--now'), { status: 2, stderr: /--yes/ })
    t.match((await gatehouse('users', 'release', userPrincipalName, '--yes')).stdout, /others may have it from 20\d\d-/)
    t.equal((await gatehouse('users', 'rename', suffixed, userPrincipalName)).status, 1, 'not yet')
    t.match((await gatehouse('users', 'release', userPrincipalName, '--yes', '--now')).stdout, /others may have it now/)
    const renamed = await gatehouse('users', 'rename', suffixed, userPrincipalName)
    t.equal(renamed.status, 0, renamed.stderr)
    t.match(renamed.stdout, new RegExp(`^${suffixed} is ${userPrincipalName} now\\. .* after 180 days`))
    for (const gateway of [one, two]) {
      await until(async () => await header(gateway, browser, 'remote-user') === userPrincipalName)
      t.equal(await header(gateway, browser, 'remote-user'), userPrincipalName)
    }
    t.match(await (await ask(two, browser, '/oauth2/userinfo')).json(), { username: userPrincipalName })
    await one.signIn(PERSON_IDS.nobody, { browser })
    t.equal(await header(one, browser, 'remote-user'), userPrincipalName, 'and keeps it at the next sign-in')
    const record = (await gatehouse('audit', 'list', '--action', 'user')).stdout
    t.match(record, /user\.rename.*\n.*user\.release.*\n.*user\.release.*\n.*user\.remove/)
  })
})

// proves: adv-rename-reserved
t.test('failures of names commands are printed, also as JSON', async (t) => {
  const gateway = await startTestGateway(t)
  const gatehouse = commands(gateway)
  const json = async (...args: string[]) => {
    const { status, stdout } = await gatehouse(...args, '--json')
    return { status, ...JSON.parse(stdout) as object }
  }
  t.equal((await gatehouse('users', 'add', 'kim')).status, 0)
  t.match(await json('users', 'rename', 'kim', 'lee'), { status: 0, changed: true, before: 'kim', username: 'lee' })
  t.match(await json('users', 'rename', 'lee', 'lee'), { status: 0, changed: false })
  t.match(await json('users', 'rename', 'lee', 'ROOT'), { status: 1, error: 'username_reserved' })
  t.match(await json('users', 'rename', 'lee', 'a b'), { status: 1, error: 'username_invalid' })
  t.match(await json('users', 'rename', 'kim', 'x'), { status: 1, error: 'user_unknown' })
  t.match(await json('users', 'release', 'nobody', '--yes'), { status: 1, error: 'username_not_reserved' })
  t.match(await json('users', 'release', 'lee', '--yes'), { status: 1, error: 'username_taken' })
  t.match(await json('users', 'release', 'kim', '--yes'), { status: 0, released: 'kim', availableFrom: /Z$/ })
  t.equal((await gatehouse('users', 'rename', 'x')).status, 2)
})
