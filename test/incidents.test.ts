// docs/incidents.md: each incident is caused at a running gateway, and the commands of the page are run as they stand
// there, with the names of this gateway in place of the examples'.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { GROUP_IDS, PERSON_IDS } from '../src/demo/people.js'
import { createBrowser } from './helpers/browser.js'
import { CLIENT_SECRET, startTestGateway, type TestGateway, type TestGatewayOptions } from './helpers/gateway.js'
import { seriesOf } from './helpers/metrics.js'
import { originalHeaders } from './helpers/targets.js'
import { databaseFaultProxy } from './helpers/tcp-fault-proxy.js'
import { until } from './helpers/until.js'

const GUIDE = readFileSync('docs/incidents.md', 'utf8')
const SECTIONS = new Map(
  GUIDE.split(/^## /m).slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section]),
)
const TARGET = originalHeaders('https://app.example.com/')
const APP = { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] }

/** The commands of a section, in order. */
function commandsOf(title: string): string[] {
  const fences = [...(SECTIONS.get(title) ?? '').matchAll(/```sh\n([^`]*)```/g)]
  return fences.flatMap(([, text = '']) => text.split('\n').map((line) => line.trim()).filter((line) => line !== ''))
}

async function incident(t: Test, title: string, options: TestGatewayOptions = {}) {
  const gateway = await startTestGateway(t, { app: APP, ...options })
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-incident-'))
  t.teardown(() => rmSync(home, { recursive: true }))
  const { config: { server, entra, session, keys, access, groupMapping } } = gateway
  const { tenantId, clientId, authorityHost, graphUrl } = entra
  const configured = (clientSecret: string): string => {
    const file = join(home, 'gatehouse.yaml')
    const { publicUrl, port, management } = server
    writeFileSync(
      file,
      stringify({
        server: { publicUrl, port, management: { port: management.port } },
        entra: { tenantId, clientId, clientSecret, authorityHost, graphUrl, allowHttp: true },
        database: { url: gateway.databaseUrl },
        session: { secrets: [...session.secrets] },
        keys: { encryptionSecrets: [...keys.encryptionSecrets] },
        groupMapping,
        ...(access.rules.length === 0 ? {} : { access: options.config?.access }),
      }),
    )
    return file
  }
  const commands = commandsOf(title)
  /** One command of the page, as a shell runs it; what it says, on both outputs. */
  const run = async (index: number, user = '', clientSecret = CLIENT_SECRET): Promise<string> => {
    const command = commands[index] ?? ''
    if (command.startsWith('curl ')) {
      const [, url = ''] = /(http\S+)$/.exec(command) ?? []
      return await (await fetch(url.replace('http://127.0.0.1:4181', gateway.management))).text()
    }
    const args = command.replace(/^gatehouse /, '').replace('kim@example.com', user).split(' ')
    const env = { ...process.env, GATEHOUSE_CONFIG: configured(clientSecret) }
    return await new Promise((resolve) => {
      execFile(process.execPath, ['dist/cli.js', ...args], { env }, (_error, out, err) => resolve(`${out}${err}`))
    })
  }
  return { gateway, run }
}

const statusOf = async (gateway: TestGateway, browser = createBrowser()) =>
  (await browser.ask(`${gateway.url}/oauth2/auth`, { headers: TARGET })).status

t.test('The secret has expired', async (t) => {
  const { gateway, run } = await incident(t, 'The secret has expired')
  const { secrets } = gateway.entra.app
  for (const secret of secrets) secret.expiresAt = Date.now() - 1_000
  const { answer } = await gateway.signIn(PERSON_IDS.staff)
  t.match(answer.text, 'entra_secret_expired')
  const series = 'gatehouse_login_duration_seconds_count{result="entra_secret_expired"}'
  t.equal((await seriesOf(gateway)).get(series), 1)
  t.match(await run(0), /FAIL +credential .*AADSTS7000222/)
  secrets.push({ id: 'f0000000-0000-4000-8000-000000000002', value: 'the-new-secret-of-the-test' })
  gateway.reload({ entra: { clientSecret: 'the-new-secret-of-the-test' } })
  t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
  t.match(await run(0, '', 'the-new-secret-of-the-test'), /ok +credential/)
})

t.test('Graph throttles', async (t) => {
  const { gateway, run } = await incident(t, 'Graph throttles', { config: { entra: { loginBudget: '5s' } } })
  gateway.entra.faults.add({
    on: 'graph',
    times: Infinity,
    then: { kind: 'status', status: 429, headers: { 'retry-after': '3600' } },
  })
  t.match((await gateway.signIn(PERSON_IDS.staff)).answer.text, 'graph_throttled')
  t.match(await run(0), /throttled until/)
  t.ok(((await seriesOf(gateway)).get('gatehouse_graph_throttled_until_seconds') ?? 0) > Date.now() / 1000)
  gateway.entra.faults.clear()
  t.ok(
    await until(async () => (await gateway.signIn(PERSON_IDS.staff)).answer.status === 200),
    'the pause ends by itself',
  )
})

t.test('Failover of the database', async (t) => {
  const door = databaseFaultProxy(t)
  const { gateway, run } = await incident(t, 'Failover of the database', {
    throughProxy: door.throughProxy,
  })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(await statusOf(gateway, browser), 200)
  door.shut()
  t.ok(await until(async () => await statusOf(gateway, browser) === 503))
  t.notMatch(JSON.parse(await run(0)), { parts: { database: 'ok' } })
  door.open()
  t.ok(await until(async () => await statusOf(gateway, browser) === 200), 'the session goes on')
  t.match(JSON.parse(await run(0)), { parts: { database: 'ok' } })
})

t.test('The wrong host', async (t) => {
  const access = { rules: [{ hosts: ['app.example.com'], paths: ['/admin'], allow: { groups: ['NetBox Admins'] } }] }
  const { gateway, run } = await incident(t, 'The wrong host', { config: { access } })
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const ask = (url: string) =>
    gateway.ask('/oauth2/auth', {
      browser,
      headers: originalHeaders(url),
    })
  t.equal((await ask('http://gatehouse/admin')).status, 200, 'no rule names it')
  t.equal((await seriesOf(gateway)).get('gatehouse_access_unnamed_host_total'), 1)
  t.ok(gateway.log.some((line) => JSON.stringify(line).includes('"gatehouse"')), 'the log names the host')
  t.match(await run(0), /access\.default/)
  t.equal((await ask('https://app.example.com/admin')).status, 403, 'the host that people type has its rule')
})

t.test('"I am not in the group"', async (t) => {
  const { gateway, run } = await incident(t, '"I am not in the group"')
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const upn = gateway.entra.directory.users.get(PERSON_IDS.staff)?.userPrincipalName ?? ''
  const groups = async () => JSON.parse((await gateway.ask('/oauth2/userinfo', { browser })).text) as object
  t.match(await run(0, upn), `Row 2 is not hit: ${GROUP_IDS.netboxAdmins}`)
  gateway.entra.directory.addMember(GROUP_IDS.netboxAdmins, PERSON_IDS.staff)
  t.match(await run(0, upn), /would change: \+NetBox Admins/)
  await gateway.signIn(PERSON_IDS.staff, { browser })
  t.match(await groups(), { groups: /NetBox Admins/ })
})

// proves: adv-incidents
t.test('A stolen account', async (t) => {
  const { gateway, run } = await incident(t, 'A stolen account')
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const upn = gateway.entra.directory.users.get(PERSON_IDS.staff)?.userPrincipalName ?? ''
  t.equal(await statusOf(gateway, browser), 200)
  t.match(await run(0, upn), /client: 127\.0\.0\.1/)
  await run(1, upn)
  t.ok(await until(async () => await statusOf(gateway, browser) === 401), 'the session is over')
  t.match((await gateway.signIn(PERSON_IDS.staff)).answer.text, 'user_inactive')
})

t.test('the page has these six, with at most two steps and at least one command each', async (t) => {
  t.equal(SECTIONS.size, 6)
  for (const [title, section] of SECTIONS) {
    t.equal([...section.matchAll(/^\d\. /gm)].length, 2, title)
    t.ok(commandsOf(title).length > 0, title)
  }
})
