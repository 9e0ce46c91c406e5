// The version of docs/applications/netbox.md without the plugin, with the real NetBox: what plain headers do, and the
// bounds that the guide names. Then NetBox's own header names.
import t from 'tap'
import { Agent } from 'undici'
import { parse } from 'yaml'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { pickPerson } from '../helpers/gateway.js'
import { groupsOf, save } from '../helpers/netbox-rights.js'
import { AUTOMATION, guideBlock, HEADER_SETTINGS, startNetBoxSite } from '../helpers/netbox-site.js'
import { connect } from '../helpers/sql.js'

const [NINA, SAM] = ['nina.nested@contoso.example', 'sam.staff@contoso.example']
const JSON_ONLY = { 'accept': 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
/** The settings that name headers: without them NetBox's own names and its own separator count. */
const NAMES = /^REMOTE_AUTH_(USER_EMAIL|USER_FIRST_NAME|USER_LAST_NAME|GROUP_HEADER|GROUP_SEPARATOR) .*\n/gm

t.test('the guide for NetBox without the plugin', async (t) => {
  const scene = await startNetBoxSite(t, { plugin: false })
  if (scene === undefined) return
  const { app, auth, netbox, site, restartNginx } = scene
  const query = await connect(t, netbox.databaseUrl)
  const directory = site.entra.directory

  const signIn = async (person: string, path = '/', browser = createBrowser()) => ({
    browser,
    answer: await pickPerson(browser, await browser.follow(`${app}${path}`), person),
  })
  const status = async (browser: Browser, path: string, headers: Record<string, string> = {}) =>
    (await browser.ask(`${app}${path}`, { headers })).status
  const setName = (id: string, givenName: string, surname: string) => {
    const user = directory.users.get(id)
    if (user) directory.users.set(id, { ...user, givenName, surname, displayName: `${givenName} ${surname}` })
  }
  const storedName = (username: string) =>
    query<Record<string, string>>('select first_name, last_name, email from users_user where username = $1', [username])
  const netboxSession = (browser: Browser) => browser.cookies.get('127.0.0.1')?.get('sessionid') ?? ''
  /** What the guide says for a change of rights that counts at once. */
  const endSessionsOfNetBox = () => query('delete from django_session')

  await t.test('groups and e-mail come from the headers, superuser from the configured group', async (t) => {
    setName(PERSON_IDS.nested, 'Zoë', 'Ångström')
    const { browser: engineer } = await signIn(PERSON_IDS.staff)
    t.strictSame(
      { add: await status(engineer, '/dcim/sites/add/'), users: await status(engineer, '/users/users/') },
      { add: 200, users: 403 },
    )
    t.strictSame(await groupsOf(query, SAM), ['Network Engineers'])
    t.strictSame(await storedName(SAM), [{ first_name: '', last_name: '', email: SAM }])
    directory.addMember(GROUP_IDS.netboxAdmins, PERSON_IDS.nobody)
    const { browser: administrator } = await signIn(PERSON_IDS.nobody)
    t.equal(await status(administrator, '/core/background-queues/'), 200)
    const { browser: flagAlone } = await signIn(PERSON_IDS.superuser)
    t.equal(await status(flagAlone, '/core/background-queues/'), 403, 'X-Auth-Request-Superuser is not read')
  })

  await t.test('names beyond ASCII are percent-encoded, so such a group is not found', async (t) => {
    const { browser } = await signIn(PERSON_IDS.nested)
    t.equal(await status(browser, '/dcim/sites/'), 200)
    t.strictSame(await groupsOf(query, NINA), ['Network Engineers'])
    t.match(netbox.output(), 'Could not assign group B%C3%BCro')
  })

  // proves: netbox-headers-groups
  await t.test("a revoked right remains until NetBox's own session ends, also after a new sign-in", async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    directory.removeMember(GROUP_IDS.networkEngineers, PERSON_IDS.staff)
    directory.addMember(GROUP_IDS.readOnly, PERSON_IDS.staff)
    await browser.follow(`${auth}/oauth2/start?rd=${encodeURIComponent(`${app}/`)}`)
    await signIn(PERSON_IDS.staff, '/', withoutGatehouse(browser))
    await site.gateway.changes.caughtUp()
    t.strictSame(await groupsOf(query, SAM), ['Network Engineers'])
    t.equal(await status(browser, '/dcim/sites/add/'), 200)
    await endSessionsOfNetBox()
    t.strictSame(
      { add: await status(browser, '/dcim/sites/add/'), view: await status(browser, '/dcim/sites/') },
      { add: 403, view: 200 },
    )
    t.strictSame(await groupsOf(query, SAM), ['Read Only'])
    directory.removeMember(GROUP_IDS.readOnly, PERSON_IDS.staff)
    directory.addMember(GROUP_IDS.networkEngineers, PERSON_IDS.staff)
    await endSessionsOfNetBox()
  })

  await t.test("LOGIN_TIMEOUT ends NetBox's session, unless something is written into it", async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    const ends = async () => {
      const rows = await query<{ seconds: number }>(
        `select extract(epoch from expire_date - now())::float8 as seconds
        from django_session where session_key = $1`,
        [netboxSession(browser)],
      )
      return rows[0]?.seconds ?? Number.NaN
    }
    const first = await ends()
    t.ok(first > 0 && first <= 900, `${first} of 900 seconds`)
    await query("update django_session set expire_date = now() + interval '300 seconds'")
    t.equal(await status(browser, '/dcim/sites/'), 200)
    t.ok(await ends() <= 300, 'a page does not move the end')
    const form = await browser.ask(`${app}/user/api-tokens/add/`)
    t.equal((await save(browser, form, { version: '2', write_enabled: 'on', enabled: 'on', _create: '' })).status, 302)
    t.ok(await ends() > 300, 'a new token does')
  })

  await t.test("whoever was revoked keeps by NetBox's cookie what programs reach, from their network", async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    const headers = { ...JSON_ONLY, cookie: `sessionid=${netboxSession(browser)}` }
    const sites = async (client: Browser) => (await client.ask(`${app}/api/dcim/sites/`, { headers })).status
    t.equal(await sites(fromAutomation()), 200)
    t.equal(await sites(createBrowser()), 401, 'not from elsewhere')
    await endSessionsOfNetBox()
    t.equal(await sites(fromAutomation()), 403)
  })

  await t.test("an open form cannot be saved after NetBox's session ended and another page was loaded", async (t) => {
    const { browser, answer } = await signIn(PERSON_IDS.staff, '/dcim/sites/add/')
    await endSessionsOfNetBox()
    t.equal(await status(browser, '/dcim/sites/', { 'hx-request': 'true' }), 200)
    const site = { name: 'Bremen', slug: 'bremen', status: 'active', _create: '' }
    t.equal((await save(browser, answer, site)).status, 403)
    t.equal((await save(browser, await browser.ask(`${app}/dcim/sites/add/`), site)).status, 302)
  })

  await t.test("forged headers have no effect behind the proxy, but full effect at NetBox's own port", async (t) => {
    const forged = {
      'remote-user': 'forged',
      'remote-groups': 'NetBox Admins',
      'remote-email': 'forged@example.com',
      'remote-user-first-name': 'FORGED',
      'remote-user-group': 'NetBox Admins',
    }
    const { browser } = await signIn(PERSON_IDS.guest)
    await endSessionsOfNetBox()
    t.equal(await status(browser, '/core/background-queues/', forged), 403)
    t.equal(await status(createBrowser(), '/', { ...JSON_ONLY, ...forged }), 401)
    t.strictSame(await query("select username from users_user where username = 'forged' or first_name = 'FORGED'"), [])
    const direct = await createBrowser().ask(`http://127.0.0.1:${netbox.port}/core/background-queues/`, {
      headers: forged,
    })
    t.equal(direct.status, 200)
    await endSessionsOfNetBox()
  })

  await t.test('signing out of NetBox ends signed out', async (t) => {
    const { browser } = await signIn(PERSON_IDS.guest)
    const out = await browser.follow(`${app}/logout/`)
    t.ok(out.trail.some((url) => url.startsWith(`${auth}/oauth2/sign_out`)), out.trail.join('\n'))
    t.equal(await status(browser, '/', JSON_ONLY), 401)
  })

  // proves: netbox-sessions-live-on
  await t.test('sessions live on while NetBox is started anew with other settings', async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    const session = netboxSession(browser)
    const settings = HEADER_SETTINGS.replaceAll('https://auth.example.com', auth).replace(NAMES, '')
    t.notMatch(settings, /_GROUP_HEADER|_FIRST_NAME|_SEPARATOR/)
    await netbox.restart(settings)
    await restartNginx(linesOfOwnNames())
    t.equal(await status(browser, '/dcim/sites/add/'), 200)
    t.equal(netboxSession(browser), session)
    await endSessionsOfNetBox()
  })

  await t.test("NetBox's own header names: a client's are taken away also while Gatehouse sends none", async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    await endSessionsOfNetBox()
    t.equal(await status(browser, '/dcim/sites/', { 'remote-user-group': 'NetBox Admins' }), 403)
    t.strictSame(await groupsOf(query, SAM), [])
    await endSessionsOfNetBox()
  })

  await t.test("NetBox's own header names: ISO 8859-1 is unchanged, NetBox's separator applies", async (t) => {
    const { headers } = parse(guideBlock(/^```yaml\n(headers:\n[\s\S]*?)^```$/m)) as {
      headers: { extra: { value: string, separator?: string }[] }
    }
    site.reload({ headers })
    const { browser } = await signIn(PERSON_IDS.nested)
    t.equal(await status(browser, '/dcim/sites/', { 'remote-user-first-name': 'FORGED' }), 200)
    t.strictSame(await groupsOf(query, NINA), ['Büro', 'Network Engineers'])
    t.strictSame(await storedName(NINA), [{ first_name: 'Zoë', last_name: 'Ångström', email: NINA }])
    setName(PERSON_IDS.guest, 'Łukasz', 'Guest')
    await signIn(PERSON_IDS.guest)
    t.match(await storedName('gus.guest@fabrikam.example'), [{ first_name: '%C5%81ukasz', last_name: 'Guest' }])
    const otherSeparator = headers.extra.map((each) => each.value === 'groups' ? { ...each, separator: ',' } : each)
    site.reload({ headers: { extra: otherSeparator } })
    await endSessionsOfNetBox()
    t.equal(await status(browser, '/dcim/sites/'), 403)
    t.strictSame(await groupsOf(query, NINA), [], 'one single group with commas in its name')
    t.match(netbox.output(), /Could not assign group [^|\n]*,Network Engineers/)
  })
})

/** The guide's two lines for nginx, for each of the four names. */
function linesOfOwnNames(): string {
  const lines = guideBlock(/^```nginx\n(auth_request_set \$gatehouse_user_group[\s\S]*?)^```$/m)
  return ['Group', 'Email', 'First-Name', 'Last-Name'].map((name) =>
    lines
      .replaceAll('user_group', `user_${name.toLowerCase().replace('-', '_')}`).replaceAll('User-Group', `User-${name}`)
  ).join('')
}

/** The same browser after its session in Gatehouse was ended: what is left is NetBox's. */
function withoutGatehouse(browser: Browser): Browser {
  const jar = browser.cookies.get('127.0.0.1')
  for (const name of jar?.keys() ?? []) if (name.includes('gatehouse')) jar?.delete(name)
  return browser
}

function fromAutomation(): Browser {
  return createBrowser({ dispatcher: new Agent({ localAddress: AUTOMATION }) })
}
