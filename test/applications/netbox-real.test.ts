// The guide docs/applications/netbox.md as it stands, with the real NetBox behind real nginx.
import t from 'tap'
import { Agent, fetch, FormData } from 'undici'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { pickPerson } from '../helpers/gateway.js'
import { ALL, createTrials, groupsOf, permit, save } from '../helpers/netbox-rights.js'
import { AUTOMATION, guideBlock, PROJECT, startNetBoxSite } from '../helpers/netbox-site.js'
import { connect } from '../helpers/sql.js'

const [GUS, NINA] = ['gus.guest@fabrikam.example', 'nina.nested@contoso.example']
const [SAM, SUE] = ['sam.staff@contoso.example', 'sue.super@contoso.example']
const NOBODY = 'nobody.noone@contoso.example'
const JSON_ONLY = { 'accept': 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }

t.test('the guide for NetBox', async (t) => {
  const scene = await startNetBoxSite(t)
  if (scene === undefined) return
  const { app, auth, local, netbox, site } = scene

  const signIn = async (person: string, path = '/', browser = createBrowser()) => ({
    browser,
    answer: await pickPerson(browser, await browser.follow(`${app}${path}`), person),
  })
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

  await t.test("NetBox's permissions apply: a read-only user cannot change, a superuser sees the users", async (t) => {
    const { browser: guest } = await signIn(PERSON_IDS.guest)
    t.strictSame(
      { view: await status(guest, '/dcim/sites/'), add: await status(guest, '/dcim/sites/add/') },
      { view: 200, add: 403 },
    )
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

  // proves: netbox-names-exact, netbox-groups-never-made
  await t.test('only groups that NetBox has under exactly this name count, and none is made', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    await query("insert into users_group (name, description) values ('Read_Only', ''), ('Read Only ', '')")
    const { browser } = await signIn(PERSON_IDS.guest)
    t.strictSame(
      { view: await status(browser, '/dcim/sites/'), add: await status(browser, '/dcim/sites/add/') },
      { view: 200, add: 403 },
    )
    t.strictSame(await groupsOf(query, GUS), ['Read Only'], 'not "read only", "Read_Only" or "Read Only " too')
    await signIn(PERSON_IDS.nested)
    t.strictSame(await query('select name from users_group where name = any($1)', [['Gone', 'Network_Engineers']]), [])
    t.match(netbox.output(), 'group not found in NetBox: Network_Engineers')
  })

  // proves: netbox-nested-groups
  await t.test('who is in a nested group has what the outer group may do', async (t) => {
    const { browser } = await signIn(PERSON_IDS.nested)
    t.strictSame(await groupsOf(await connect(t, netbox.databaseUrl), NINA), ['Büro', 'Network Engineers'])
    t.equal(await status(browser, '/dcim/sites/add/'), 200)
  })

  // proves: netbox-groups-applied
  await t.test('each group may do what its permissions say, and one without permissions nothing', async (t) => {
    site.entra.directory.addMember(PROJECT, PERSON_IDS.nobody)
    const may = await createTrials(scene)
    const { browser: guest } = await signIn(PERSON_IDS.guest)
    t.equal(await may(guest, 'device'), 'view', 'read only')
    t.equal(await may(guest, 'circuit'), 'view', 'read only')
    const { browser: engineer } = await signIn(PERSON_IDS.staff)
    for (const kind of ['device', 'interface', 'address'] as const) {
      t.equal(await may(engineer, kind), ALL, `engineer, ${kind}`)
    }
    t.equal(await may(engineer, 'circuit'), 'view', 'engineer')
    t.equal(await may(engineer, 'group'), '', 'engineer')
    const { browser: manager } = await signIn(PERSON_IDS.many)
    for (const kind of ['circuit', 'provider'] as const) {
      t.equal(await may(manager, kind), ALL, `circuit manager, ${kind}`)
    }
    t.equal(await may(manager, 'device'), '', 'circuit manager')
    const { browser: nobody } = await signIn(PERSON_IDS.nobody)
    t.equal(await may(nobody, 'device'), '', 'a group without permissions')
    const query = await connect(t, netbox.databaseUrl)
    t.strictSame(await groupsOf(query, NOBODY), ['Empty'])
    const ownConfiguration = '/dcim/devices/1/render-config/'
    await permit(query, 'Empty', 'dcim.device', 'render_config')
    t.equal(await status(nobody, ownConfiguration), 403, 'one of two permissions')
    await permit(query, 'Empty', 'dcim.device', 'view')
    t.equal(await status(nobody, ownConfiguration), 200, 'both')
    t.equal(await status(guest, ownConfiguration), 403, 'the other one')
    site.entra.directory.removeMember(PROJECT, PERSON_IDS.nobody)
    site.entra.directory.addMember(GROUP_IDS.netboxAdmins, PERSON_IDS.nobody)
    const { browser: administrator } = await signIn(PERSON_IDS.nobody)
    for (const kind of ['device', 'circuit'] as const) {
      t.equal(await may(administrator, kind), ALL, `administrator, ${kind}`)
    }
    t.equal(await may(administrator, 'group'), 'view', 'administrator')
    t.equal(await status(administrator, '/users/users/'), 200)
  })

  // proves: netbox-several-groups
  await t.test('a user in several mapped groups is in all of their local groups, and permissions add up', async (t) => {
    const more = [GROUP_IDS.circuitManagers, GROUP_IDS.netboxSuperusers]
    site.entra.directory.addMember(GROUP_IDS.circuitManagers, PERSON_IDS.staff)
    const may = await createTrials(scene)
    const { browser } = await signIn(PERSON_IDS.staff)
    t.strictSame({ device: await may(browser, 'device'), circuit: await may(browser, 'circuit') }, {
      device: ALL,
      circuit: ALL,
    })
    t.equal(await status(browser, '/users/users/'), 403)
    site.entra.directory.addMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.staff)
    const { browser: superuser } = await signIn(PERSON_IDS.staff)
    t.equal(await status(superuser, '/users/users/'), 200, 'one of the groups is enough for the flag')
    const query = await connect(t, netbox.databaseUrl)
    const groups = ['Circuit Manager', 'NetBox Superusers', 'Network Engineers']
    t.strictSame(await groupsOf(query, SAM), groups)
    const [{ id = '' } = {}] = await query<{ id: string }>('select id from users_user where username = $1', [SAM])
    const { text } = await superuser.ask(`${app}/users/users/${id}/`)
    t.ok(
      />Superuser<\/th>\s*<td>\s*<div[^>]*>\s*<i [^>]*title="Yes">/.test(text),
      'the page of the user shows the flag',
    )
    const list = await superuser.ask(`${app}/users/groups/?embedded=True&user_id=${id}`, {
      headers: { 'hx-request': 'true' },
    })
    t.strictSame(
      [...list.text.matchAll(/<a href="\/users\/groups\/[0-9]+\/">([^<\d][^<]*)<\/a>/g)].map(([, name]) => name),
      groups,
    )
    for (const group of more) site.entra.directory.removeMember(group, PERSON_IDS.staff)
    await signIn(PERSON_IDS.staff)
  })

  // proves: netbox-superuser-applied, netbox-without-staff
  await t.test('a superuser needs no permission, and staff gives none, since NetBox has no staff', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser: superuser } = await signIn(PERSON_IDS.superuser)
    t.strictSame(await groupsOf(query, SUE), ['NetBox Superusers'], 'a group without permissions')
    const may = await createTrials(scene)
    for (const kind of ['device', 'group'] as const) t.equal(await may(superuser, kind), ALL, kind)
    const { browser: staff } = await signIn(PERSON_IDS.staff)
    const administration = ['/users/users/', '/core/config-revisions/add/', '/core/background-queues/']
    for (const page of administration) {
      t.strictSame({ superuser: await status(superuser, page), staff: await status(staff, page) }, {
        superuser: 200,
        staff: 403,
      }, page)
    }
    t.equal(await status(superuser, '/admin/'), 404, "Django's own pages")
    t.equal(await status(staff, '/admin/'), 404, "Django's own pages")
    const columns = await query<{ column_name: string }>(`select column_name from information_schema.columns
      where table_name = 'users_user' and column_name in ('is_staff', 'is_superuser')`)
    t.strictSame(columns.map((column) => column.column_name), ['is_superuser'])
    const [{ id = '' } = {}] = await query<{ id: string }>('select id from users_user where username = $1', [SAM])
    const form = await superuser.ask(`${app}/users/users/${id}/edit/`)
    const changed = { username: SAM, is_active: 'on', is_superuser: 'on', _update: '' }
    t.equal((await save(superuser, form, changed)).status, 302)
    const isSuperuser = async () =>
      (await query('select is_superuser from users_user where id = $1', [id])).flatMap(Object.values)
    t.strictSame(await isSuperuser(), [true], 'made one by another superuser')
    t.equal(await status(staff, '/users/users/'), 403)
    t.strictSame(await isSuperuser(), [false], 'until the next request')
  })

  // proves: netbox-inactive-is-anonymous
  await t.test('an account that is not active in NetBox is anonymous', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser } = await signIn(PERSON_IDS.guest)
    t.equal(await status(browser, '/dcim/sites/'), 200)
    t.strictSame(await query('select is_active from users_user where username = $1', [GUS]), [{ is_active: true }])
    const setActive = (active: boolean) =>
      query('update users_user set is_active = $1 where username = $2', [active, GUS])
    await setActive(false)
    // NetBox itself takes the permissions of such an account, but not the pages that everybody has who is signed in.
    for (const page of ['/', '/user/profile/', '/dcim/sites/']) {
      t.equal(await status(browser, page), 302, `${page} asks to sign in`)
    }
    await setActive(true)
    t.equal(await status(browser, '/dcim/sites/'), 200)
  })

  // proves: netbox-by-hand-goes
  await t.test('a group that was assigned by hand is gone at the next request', async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const { browser } = await signIn(PERSON_IDS.guest)
    t.equal(await status(browser, '/dcim/sites/'), 200)
    await query(
      `insert into users_user_groups (user_id, group_id) select users_user.id, users_group.id
      from users_user, users_group where username = $1 and name = 'By hand'`,
      [GUS],
    )
    t.strictSame(await groupsOf(query, GUS), ['By hand', 'Read Only'])
    t.equal(await status(browser, '/dcim/sites/'), 200)
    t.strictSame(await groupsOf(query, GUS), ['Read Only'])
  })

  // proves: netbox-rights-follow
  await t.test("a right that was taken away is gone inside NetBox's open session, and comes back", async (t) => {
    const { browser } = await signIn(PERSON_IDS.superuser)
    const session = browser.cookies.get('127.0.0.1')?.get('sessionid')
    site.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    site.entra.directory.addMember(GROUP_IDS.readOnly, PERSON_IDS.superuser)
    await signIn(PERSON_IDS.superuser)
    await site.gateway.changes.caughtUp()
    t.strictSame(
      { users: await status(browser, '/users/users/'), sites: await status(browser, '/dcim/sites/') },
      { users: 403, sites: 200 },
    )
    site.entra.directory.addMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    await signIn(PERSON_IDS.superuser)
    await site.gateway.changes.caughtUp()
    t.equal(await status(browser, '/users/users/'), 200)
    t.equal(browser.cookies.get('127.0.0.1')?.get('sessionid'), session)
  })

  await t.test("an open form is saved after NetBox's session was lost and something else was loaded", async (t) => {
    const { browser, answer } = await signIn(PERSON_IDS.staff, '/dcim/sites/add/')
    browser.cookies.get('127.0.0.1')?.delete('sessionid')
    t.equal(await status(browser, '/dcim/sites/', { 'hx-request': 'true' }), 200)
    const saved = await save(browser, answer, { name: 'Hamburg', slug: 'hamburg', status: 'active', _create: '' })
    t.equal(saved.status, 302)
    t.match((await browser.ask(`${app}/dcim/sites/`)).text, 'Hamburg')
  })

  await t.test('a revoked user is anonymous, also where programs get through', async (t) => {
    const { browser } = await signIn(PERSON_IDS.staff)
    const cookie = `sessionid=${browser.cookies.get('127.0.0.1')?.get('sessionid')}`
    const api = (headers: Record<string, string>, client = fromAutomation()) =>
      client.ask(`${app}/api/dcim/sites/`, { headers: { ...JSON_ONLY, ...headers } })
    t.equal((await browser.ask(`${app}/api/dcim/sites/`, { headers: JSON_ONLY })).status, 200)
    t.equal((await api({ cookie })).status, 403, "NetBox's cookie alone")
    t.equal((await api({ authorization: `Bearer ${netbox.token}` })).status, 200, 'a token')
    t.equal((await api({ authorization: `Bearer ${netbox.token}x` })).status, 403)
    const elsewhere = await api({ authorization: `Bearer ${netbox.token}` }, createBrowser())
    t.equal(elsewhere.status, 401, 'not from elsewhere')
    t.match(JSON.parse(elsewhere.text), { error: 'not_signed_in', detail: String })
  })

  await t.test('a token reaches GraphQL and uploads, and without a token no request does', async (t) => {
    const authorization = `Bearer ${netbox.token}`
    const dispatcher = new Agent({ localAddress: AUTOMATION })
    const graphql = (headers: Record<string, string>) =>
      fetch(`${app}/graphql/`, {
        method: 'POST',
        dispatcher,
        body: '{"query":"{ site_list { name } }"}',
        redirect: 'manual',
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
    const upload = await fetch(`${app}/api/extras/image-attachments/`, {
      method: 'POST',
      dispatcher,
      body: form,
      headers,
    })
    const { image = '' } = await upload.json() as { image?: string }
    t.equal(upload.status, 201, image)
    const { pathname } = new URL(image)
    t.match(pathname, /^\/media\//)
    const media = (client: Browser, headers = {}) =>
      client.ask(`${app}${pathname}`, { headers: { ...JSON_ONLY, ...headers } })
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

  await t.test("accounts of NetBox's own sign-in are renamed", async (t) => {
    const query = await connect(t, netbox.databaseUrl)
    const names = async () =>
      (await query('select username from users_user where username like $1', ['K%'])).map(Object.values)
    await query(
      `insert into users_user (username, password, first_name, last_name, email, is_active, is_superuser, date_joined)
      values ('KimLee', '', '', '', '', true, false, now())`,
    )
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
    const forged = Object.fromEntries(
      ['Remote-User', 'Remote-Groups', 'Remote-User-First-Name', 'X-Gatehouse-Assertion']
        .map((name) => [name, 'FORGED']),
    )
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
    t.equal(big.status, 403, "NetBox's own answer to a form without its token, not 413")
  })
})

function fromAutomation(): Browser {
  return createBrowser({ dispatcher: new Agent({ localAddress: AUTOMATION }) })
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
