// The guide docs/applications/netbox.md as it stands, with the real NetBox behind real nginx: npm run test:netbox.
// Not among the tests of npm test: NetBox takes minutes of CPU on a slow machine.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Agent } from 'undici'
import { parse } from 'yaml'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createGroupStore } from '../../src/store/groups.js'
import { createBrowser, type Answer, type Browser } from '../helpers/browser.js'
import { freePorts, MAPPING, pickPerson, registration, startTestGateway } from '../helpers/gateway.js'
import { startNetBox } from '../helpers/netbox.js'
import { stopPostgres } from '../helpers/postgres.js'
import { filledIn, runNginx } from '../helpers/proxies.js'

t.teardown(stopPostgres)
t.setTimeout(1_200_000)

const GUIDE = readFileSync('docs/applications/netbox.md', 'utf8')
const AUTH = 'https://auth.example.com'
const HOST = 'netbox.example.com'
const JSON_ONLY = { 'accept': 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
/** A client in the network that the guide's rule names. */
const AUTOMATION = '127.0.0.2'

t.test('the guide for NetBox', async (t) => {
  const [appPort = 0, authPort = 0] = await freePorts(2)
  const [app, auth] = [`http://127.0.0.1:${appPort}`, `http://127.0.0.1:${authPort}`]
  const settings = block(/^```python file=configuration\.py\n([\s\S]*?)^```$/m)
  const netbox = await startNetBox(t, settings.replaceAll(AUTH, auth).replaceAll(HOST, '127.0.0.1'))
  if (netbox === undefined) return
  const site = await startTestGateway(t, { config: gatewayConfig(auth), app: registration(auth), groups: [] })
  const names = [...MAPPING.flatMap(({ groups }) => groups), 'Büro', 'Gone']
  const definitions = names.map((name) => ({ name, permissions: ['netbox.view'] }))
  await createGroupStore(site.gateway.database).apply(definitions, { actor: 'test', dryRun: false })
  const listening = (site.gateway.app.server.address() as { port: number }).port
  const inServer = block(/^```nginx file=server\n([\s\S]*?)^```$/m)
    .replace('/opt/netbox/netbox/static/', `${netbox.staticFolder}/`)
  const nginx = filledIn('config/demo/nginx.conf.template', {
    DEMO_APP_LISTEN: `127.0.0.1:${appPort}`, DEMO_AUTH_LISTEN: `127.0.0.1:${authPort}`,
    DEMO_GATEWAY_UPSTREAM: `127.0.0.1:${listening}`, DEMO_APP_UPSTREAM: `127.0.0.1:${netbox.port}`,
  })
  const withGuide = nginx.replace(/^(\s*)location \/ \{/m, (location) => `${inServer}${location}`)
  t.not(withGuide, nginx)
  if (await runNginx(t, withGuide, appPort) === undefined) return

  const signIn = async (person: string, path = '/', browser = createBrowser()) =>
    ({ browser, answer: await pickPerson(browser, await browser.follow(`${app}${path}`), person) })
  const status = async (browser: Browser, path: string, headers: Record<string, string> = {}) =>
    (await browser.ask(`${app}${path}`, { headers })).status
  const setUser = (id: string, changed: object) => {
    const user = site.entra.directory.users.get(id)
    if (user) site.entra.directory.users.set(id, { ...user, ...changed })
  }

  await t.test('the first page has its styles', async (t) => {
    const { browser, answer } = await signIn(PERSON_IDS.staff)
    t.equal(answer.status, 200)
    t.match(answer.text, 'sam.staff@contoso.example')
    const [, style = ''] = /<link[^>]+href="(\/static\/[^"]+\.css[^"]*)"/.exec(answer.text) ?? []
    t.match(style, '/static/')
    t.equal(await status(browser, style), 200)
  })

  await t.test('NetBox\'s permissions hold: who may only look changes nothing, a superuser sees the users', async (t) => {
    const { browser: guest } = await signIn(PERSON_IDS.guest)
    t.strictSame([await status(guest, '/dcim/sites/'), await status(guest, '/dcim/sites/add/')], [200, 403])
    t.equal(await status(guest, '/users/users/'), 403)
    t.equal(await status((await signIn(PERSON_IDS.superuser)).browser, '/users/users/'), 200)
  })

  await t.test('names and groups beyond ASCII arrive as they are', async (t) => {
    setUser(PERSON_IDS.nested, { displayName: 'Zoë Ångström' })
    const { browser, answer } = await signIn(PERSON_IDS.nested, '/user/profile/')
    t.match(answer.text, 'Zoë Ångström')
    t.match(answer.text, 'Büro')
    t.equal(await status(browser, '/dcim/sites/'), 200)
    t.match(netbox.output(), 'group not found in NetBox: Gone')
    t.equal(netbox.output().split('group not found in NetBox: Gone').length, 2, 'once')
  })

  await t.test('a right that was taken away is gone inside NetBox\'s open session, and comes back', async (t) => {
    const { browser } = await signIn(PERSON_IDS.superuser)
    const session = browser.cookies.get('127.0.0.1')?.get('sessionid')
    site.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    site.entra.directory.addMember(GROUP_IDS.readOnly, PERSON_IDS.superuser)
    await signIn(PERSON_IDS.superuser)
    await site.gateway.changes.caughtUp()
    t.strictSame([await status(browser, '/users/users/'), await status(browser, '/dcim/sites/')], [403, 200])
    site.entra.directory.addMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    await signIn(PERSON_IDS.superuser)
    await site.gateway.changes.caughtUp()
    t.equal(await status(browser, '/users/users/'), 200)
    t.equal(browser.cookies.get('127.0.0.1')?.get('sessionid'), session)
  })

  await t.test('an open form is saved after NetBox\'s session was lost and something else was loaded', async (t) => {
    const { browser, answer } = await signIn(PERSON_IDS.staff, '/dcim/sites/add/')
    browser.cookies.get('127.0.0.1')?.delete('sessionid')
    t.equal(await status(browser, '/dcim/sites/', { 'hx-request': 'true' }), 200)
    const saved = await save(browser, answer, { name: 'Hamburg', slug: 'hamburg', status: 'active' })
    t.equal(saved.status, 302)
    t.match((await browser.ask(`${app}/dcim/sites/`)).text, 'Hamburg')
  })

  await t.test('whoever was revoked is nobody, also where programs get through', async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    const cookie = `sessionid=${browser.cookies.get('127.0.0.1')?.get('sessionid')}`
    const api = (headers: Record<string, string>, client = fromAutomation()) =>
      client.ask(`${app}/api/dcim/sites/`, { headers: { ...JSON_ONLY, ...headers } })
    t.equal((await browser.ask(`${app}/api/dcim/sites/`, { headers: JSON_ONLY })).status, 200)
    t.equal((await api({ cookie })).status, 403, 'NetBox\'s cookie alone')
    t.equal((await api({ authorization: `Bearer ${netbox.token}` })).status, 200, 'a token')
    t.equal((await api({ authorization: `Bearer ${netbox.token}x` })).status, 403)
    const elsewhere = await api({ authorization: `Bearer ${netbox.token}` }, createBrowser())
    t.equal(elsewhere.status, 401, 'not from elsewhere')
    t.match(JSON.parse(elsewhere.text), { error: 'not_signed_in', detail: String })
    const query = await fromAutomation().ask(`${app}/graphql/`, {
      method: 'POST',
      form: { query: '{ site_list { name } }' },
      headers: { ...JSON_ONLY, authorization: `Bearer ${netbox.token}` },
    })
    t.not(query.status, 401, 'GraphQL is NetBox\'s to answer')
  })

  await t.test('forged headers change nothing', async (t) => {
    const { browser } = await signIn(PERSON_IDS.guest)
    const forged = Object.fromEntries(['Remote-User', 'Remote-Groups', 'Remote-User-First-Name', 'X-Gatehouse-Assertion']
      .map((name) => [name, 'FORGED']))
    const { text, status } = await browser.ask(`${app}/user/profile/`, { headers: forged })
    t.equal(status, 200)
    t.notMatch(text, 'FORGED')
  })

  await t.test('signing out of NetBox ends signed out', async (t) => {
    const { browser } = await signIn(PERSON_IDS.guest)
    const out = await browser.follow(`${app}/logout/`)
    t.ok(out.trail.some((url) => url.startsWith(`${auth}/oauth2/sign_out`)), out.trail.join('\n'))
    t.equal((await browser.ask(`${app}/`, { headers: JSON_ONLY })).status, 401)
  })

  await t.test('an upload above 1 MB reaches NetBox', async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    const big = await browser.ask(`${app}/dcim/sites/add/`, { method: 'POST', form: { name: 'x'.repeat(1_500_000) } })
    t.equal(big.status, 403, 'NetBox\'s own answer to a form without its token, not 413')
  })
})

function block(pattern: RegExp): string {
  const [, text = ''] = pattern.exec(GUIDE) ?? []
  if (text === '') throw new Error(`the guide has no ${pattern.source}`)
  return text
}

/** The guide's access rules, and the mapping of the demo's groups. */
function gatewayConfig(auth: string): Record<string, unknown> {
  const rules = block(/^```yaml\n(access:\n[\s\S]*?)^```$/m)
  t.match(rules, HOST)
  return {
    ...parse(rules.replaceAll(HOST, '127.0.0.1').replace('10.20.0.0/16', `${AUTOMATION}/32`)) as Record<string, unknown>,
    server: { publicUrl: auth },
    groupMapping: [...MAPPING, { entraGroup: GROUP_IDS.berlinTeam, groups: ['Büro', 'Gone'] }],
  }
}

function fromAutomation(): Browser {
  return createBrowser({ dispatcher: new Agent({ localAddress: AUTOMATION }) })
}

async function save(browser: Browser, page: Answer, fields: Record<string, string>): Promise<Answer> {
  const [, token = ''] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page.text) ?? []
  const form = { csrfmiddlewaretoken: token, ...fields, _create: '' }
  return await browser.ask(page.url, { method: 'POST', form, headers: { referer: page.url } })
}
