// The guide docs/applications/netbox.md as it stands, with the real NetBox behind real nginx.
import t from 'tap'
import { Agent, fetch, FormData } from 'undici'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Answer, type Browser } from '../helpers/browser.js'
import { pickPerson } from '../helpers/gateway.js'
import { AUTOMATION, guideBlock, PROJECT, startNetBoxSite } from '../helpers/netbox-site.js'
import { stopPostgres } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

t.teardown(stopPostgres)

const [GUS, NINA, SUE] = ['gus.guest@fabrikam.example', 'nina.nested@contoso.example', 'sue.super@contoso.example']
const NOBODY = 'nobody.noone@contoso.example'
const JSON_ONLY = { 'accept': 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }

t.test('the guide for NetBox', async (t) => {
  const scene = await startNetBoxSite(t)
  if (scene === undefined) return
  const { app, auth, local, netbox, site } = scene

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
    const sheet = await browser.ask(`${app}${style}`)
    t.match({ status: sheet.status, type: sheet.headers.get('content-type') }, { status: 200, type: 'text/css' })
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

  await t.test('only groups that NetBox has under exactly this name count, and none is made', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser } = await signIn(PERSON_IDS.guest)
    t.strictSame([await status(browser, '/dcim/sites/'), await status(browser, '/dcim/sites/add/')], [200, 403])
    t.strictSame(await groupsOf(query, GUS), ['Read Only'], 'not "read only" too')
    await signIn(PERSON_IDS.nested)
    t.strictSame(await query('select name from users_group where name = $1', ['Gone']), [])
  })

  await t.test('who is in a nested group has what the outer group may do', async (t) => {
    const { browser } = await signIn(PERSON_IDS.nested)
    t.strictSame(await groupsOf(await connect(t, netbox.databaseUrl), NINA), ['Büro', 'Network Engineers'])
    t.equal(await status(browser, '/dcim/sites/add/'), 200)
  })

  await t.test('each group may do what its permissions say, and one without permissions nothing', async (t) => {
    site.entra.directory.addMember(PROJECT, PERSON_IDS.nobody)
    const pages = ['/dcim/sites/', '/dcim/sites/add/', '/circuits/circuits/add/', '/users/users/']
    const allowed = async (person: string) => {
      const { browser } = await signIn(person)
      return await Promise.all(pages.map(async (page) => (await status(browser, page)) === 200))
    }
    t.strictSame(await allowed(PERSON_IDS.guest), [true, false, false, false], 'read only')
    t.strictSame(await allowed(PERSON_IDS.staff), [true, true, false, false], 'engineer')
    t.strictSame(await allowed(PERSON_IDS.many), [false, false, true, false], 'circuit manager')
    t.strictSame(await allowed(PERSON_IDS.nobody), [false, false, false, false], 'a group without permissions')
    t.strictSame(await groupsOf(await connect(t, netbox.databaseUrl), NOBODY), ['Empty'])
    site.entra.directory.removeMember(PROJECT, PERSON_IDS.nobody)
    site.entra.directory.addMember(GROUP_IDS.netboxAdmins, PERSON_IDS.nobody)
    t.strictSame(await allowed(PERSON_IDS.nobody), [true, true, true, true], 'administrator')
  })

  await t.test('a superuser needs no permission, and staff gives none, since NetBox has no staff', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser: superuser } = await signIn(PERSON_IDS.superuser)
    t.strictSame(await groupsOf(query, SUE), ['NetBox Superusers'], 'a group without permissions')
    t.strictSame([await status(superuser, '/users/users/'), await status(superuser, '/dcim/sites/add/')], [200, 200])
    const { browser: staff } = await signIn(PERSON_IDS.staff)
    t.strictSame([await status(staff, '/dcim/sites/'), await status(staff, '/users/users/')], [200, 403])
    const columns = await query<{ column_name: string }>(`select column_name from information_schema.columns
      where table_name = 'users_user' and column_name in ('is_staff', 'is_superuser')`)
    t.strictSame(columns.map((column) => column.column_name), ['is_superuser'])
  })

  await t.test('an account that is not active in NetBox is nobody', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser } = await signIn(PERSON_IDS.guest)
    t.equal(await status(browser, '/dcim/sites/'), 200)
    const setActive = (active: boolean) =>
      query('update users_user set is_active = $1 where username = $2', [active, GUS])
    await setActive(false)
    t.not(await status(browser, '/dcim/sites/'), 200)
    await setActive(true)
    t.equal(await status(browser, '/dcim/sites/'), 200)
  })

  await t.test('a group that was assigned by hand is gone at the next request', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser } = await signIn(PERSON_IDS.guest)
    t.equal(await status(browser, '/dcim/sites/'), 200)
    await query(`insert into users_user_groups (user_id, group_id) select users_user.id, users_group.id
      from users_user, users_group where username = $1 and name = 'By hand'`, [GUS])
    t.strictSame(await groupsOf(query, GUS), ['By hand', 'Read Only'])
    t.equal(await status(browser, '/dcim/sites/'), 200)
    t.strictSame(await groupsOf(query, GUS), ['Read Only'])
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
  })

  await t.test('a token reaches GraphQL and what was uploaded, and without one nobody does', async (t) => {
    const authorization = `Bearer ${netbox.token}`
    const dispatcher = new Agent({ localAddress: AUTOMATION })
    const graphql = (headers: Record<string, string>) => fetch(`${app}/graphql/`, {
      method: 'POST', dispatcher, body: '{"query":"{ site_list { name } }"}', redirect: 'manual',
      headers: { ...JSON_ONLY, 'content-type': 'application/json', ...headers },
    })
    t.match(await (await graphql({ authorization })).text(), 'Berlin')
    t.notMatch(await (await graphql({})).text(), 'Berlin')
    const query = await connect(t, netbox.databaseUrl)
    const [site] = await query<{ id: string }>('select id from dcim_site where slug = $1', ['berlin'])
    const form = new FormData()
    const fields = { object_type: 'dcim.site', object_id: String(site?.id), name: 'Plan' }
    for (const [name, value] of Object.entries(fields)) form.set(name, value)
    form.set('image', new File([bitmap(720)], 'plan.bmp', { type: 'image/bmp' }))
    const headers = { ...JSON_ONLY, authorization }
    const upload = await fetch(`${app}/api/extras/image-attachments/`, { method: 'POST', dispatcher, body: form, headers })
    const { image = '' } = await upload.json() as { image?: string }
    t.equal(upload.status, 201, image)
    const { pathname } = new URL(image)
    t.match(pathname, /^\/media\//)
    const media = (client: Browser, headers = {}) => client.ask(`${app}${pathname}`, { headers: { ...JSON_ONLY, ...headers } })
    t.equal((await media(fromAutomation(), { authorization })).status, 200)
    t.not((await media(fromAutomation())).status, 200)
    t.equal((await media(createBrowser(), { authorization })).status, 401, 'not from elsewhere')
    t.equal((await media((await signIn(PERSON_IDS.staff)).browser)).status, 200)
  })

  await t.test('the local administrator signs in beside Gatehouse, and headers say nothing there', async (t) => {
    const browser = createBrowser()
    const page = await browser.follow(`${local}/login/`)
    const [, csrfmiddlewaretoken = ''] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page.text) ?? []
    const form = { csrfmiddlewaretoken, username: 'local-admin', password: 'a-local-password' }
    const headers = { referer: page.url }
    t.equal((await browser.ask(page.url, { method: 'POST', form: { ...form, password: 'x' }, headers })).status, 200)
    t.equal((await browser.ask(page.url, { method: 'POST', form, headers })).status, 302)
    t.equal((await browser.ask(`${local}/users/users/`)).status, 200)
    const forged = { 'remote-user': 'local-admin', 'x-gatehouse-assertion': 'x' }
    t.equal((await createBrowser().ask(`${local}/users/users/`, { headers: forged })).status, 302)
  })

  await t.test('accounts of NetBox\'s own sign-in are renamed', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const names = async () => (await query('select username from users_user where username like $1', ['K%'])).map(Object.values)
    await query(`insert into users_user (username, password, first_name, last_name, email, is_active, is_superuser, date_joined)
      values ('KimLee', '', '', '', '', true, false, now())`)
    await query(`insert into social_auth_usersocialauth (provider, uid, extra_data, user_id, created, modified)
      select 'azuread-oauth2', 'Kim@example.com', '{}', id, now(), now() from users_user where username = 'KimLee'`)
    t.match(netbox.command('gatehouse_rename_users'), 'KimLee -> Kim@example.com')
    t.strictSame(await names(), [['KimLee']])
    netbox.command('gatehouse_rename_users', '--yes')
    t.strictSame(await names(), [['Kim@example.com']])
    await query('update users_user set username = $1 where username = $2', ['KimLee', 'Kim@example.com'])
    netbox.command('shell', '-c', guideBlock(/^```python\n(from social_django[\s\S]*?)^```$/m))
    t.strictSame(await names(), [['Kim@example.com']], 'the snippet for those without the plugin')
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

function fromAutomation(): Browser {
  return createBrowser({ dispatcher: new Agent({ localAddress: AUTOMATION }) })
}

/** What NetBox itself has stored. */
async function groupsOf(query: Awaited<ReturnType<typeof connect>>, username: string): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(`select name from users_group
    join users_user_groups on group_id = users_group.id join users_user on user_id = users_user.id
    where username = $1 order by name collate "C"`, [username])
  return rows.map(({ name }) => name)
}

/** A picture of this width and height: 1.5 MB at 720. */
function bitmap(side: number): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(54)
  header.write('BM')
  const fields = [[2, 54 + 3 * side * side], [10, 54], [14, 40], [18, side], [22, side], [34, 3 * side * side]] as const
  for (const [at, value] of fields) header.writeUInt32LE(value, at)
  header.writeUInt16LE(1, 26)
  header.writeUInt16LE(24, 28)
  return new Uint8Array(Buffer.concat([header, Buffer.alloc(3 * side * side, 120)]))
}

async function save(browser: Browser, page: Answer, fields: Record<string, string>): Promise<Answer> {
  const [, token = ''] = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(page.text) ?? []
  const form = { csrfmiddlewaretoken: token, ...fields, _create: '' }
  return await browser.ask(page.url, { method: 'POST', form, headers: { referer: page.url } })
}
