// The login over real HTTP: what it does, and that nothing but a completed one changes anything.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import t, { type Test } from 'tap'
import { GROUP_IDS, PEOPLE, PERSON_IDS } from '../../../src/demo/people.js'
import { errorCode } from '../../helpers/assertions.js'
import { createBrowser, formOf, type Answer, type Browser } from '../../helpers/browser.js'
import { MAPPING, pickPerson, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect, dump, IN_THE_BACKGROUND } from '../../helpers/sql.js'

const groupsOf = async (gateway: TestGateway, browser: Browser): Promise<string | null> =>
  (await gateway.ask('/oauth2/auth', { browser })).headers.get('x-auth-request-groups')

t.test('signing in', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  gateway.entra.directory.addMember(GROUP_IDS.circuitManagers, PERSON_IDS.superuser)

  // proves: tenant-in-authority, scope-of-this-graph
  await t.test('the way to Entra carries state, nonce and an S256 challenge, and writes nothing', async (t) => {
    const before = await dump(query)
    const answer = await gateway.ask('/oauth2/start?rd=/&prompt=select_account')
    t.equal(answer.status, 302)
    const url = new URL(answer.location ?? '')
    t.equal(
      `${url.origin}${url.pathname}`,
      `${gateway.entra.url}/${gateway.config.entra.tenantId}/oauth2/v2.0/authorize`,
    )
    const { state, nonce, code_challenge: challenge, ...rest } = Object.fromEntries(url.searchParams)
    t.same(rest, {
      client_id: gateway.config.entra.clientId,
      response_type: 'code',
      response_mode: 'query',
      prompt: 'select_account',
      code_challenge_method: 'S256',
      redirect_uri: `${gateway.url}/oauth2/callback`,
      scope: `openid profile email ${gateway.entra.graphUrl}/User.Read`,
    })
    t.match(nonce, /^[\w-]{43}$/)
    t.match(challenge, /^[\w-]{43}$/)
    t.ok((state?.length ?? 0) < 500)
    t.equal(answer.headers.get('cache-control'), 'no-store')
    const [cookie = '', second] = answer.headers.getSetCookie()
    t.equal(second, undefined)
    t.match(cookie, /^gatehouse_login=[\w-]{43}; Max-Age=3600; Path=\/; HttpOnly; SameSite=Lax$/)
    t.equal(await dump(query), before)
  })

  await t.test('twenty tabs sign in at once on one small cookie', async (t) => {
    const browser = createBrowser()
    const tabs: Answer[] = []
    for (let tab = 0; tab < 20; tab++) {
      tabs.push(
        await browser.follow(`${gateway.url}/oauth2/start?rd=${encodeURIComponent(`/?tab=${tab}${'x'.repeat(300)}`)}`),
      )
    }
    t.equal(browser.cookies.get('127.0.0.1')?.size, 1)
    for (const [tab, page] of tabs.reverse().entries()) {
      const { action, fields } = formOf(page)
      const callback = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
      const done = await browser.ask(callback.location ?? '')
      t.match(done.location, new RegExp(`/\\?tab=${19 - tab}x`))
    }
    t.same(await query('select count(*)::int as n from sessions'), [{ n: 1 }], 'they share the session of the first')
  })

  // proves: details-from-token, superuser-granted, staff-granted, group-granted, origin-recorded, email-at-creation
  await t.test('stores the user, memberships with cause, snapshot and audit row, and logs one line', async (t) => {
    const { browser, answer } = await gateway.signIn(PERSON_IDS.superuser)
    t.equal(answer.status, 200)
    t.match(answer.text, /Sue Super/)
    const [user] = await query('select * from users where username = $1', ['sue.super@contoso.example'])
    t.match(user, {
      email: 'sue.super@contoso.example',
      email_verified: true,
      name: 'Sue Super',
      given_name: 'Sue',
      family_name: 'Super',
      is_active: true,
      is_staff: true,
      is_superuser: true,
      is_break_glass: false,
    })
    t.same(user?.superuser_cause, [{ row: 1, entraGroup: GROUP_IDS.netboxSuperusers }])
    t.same(
      await query(
        'select g.name, cause from user_groups join groups g on g.id = group_id where user_id = $1 order by 1',
        [user?.id],
      ),
      [
        { name: 'Circuit Manager', cause: [{ row: 4, entraGroup: GROUP_IDS.circuitManagers }] },
        { name: 'NetBox Superusers', cause: [{ row: 1, entraGroup: GROUP_IDS.netboxSuperusers }] },
      ],
    )
    t.same(await query('select tid, oid, guest from identities where user_id = $1', [user?.id]), [{
      tid: gateway.config.entra.tenantId,
      oid: PERSON_IDS.superuser,
      guest: false,
    }])
    const [reading] = await query<{ group_ids: string }>(
      'select group_ids::text from entra_readings where user_id = $1',
      [user?.id],
    )
    t.same(
      new Set(reading?.group_ids.slice(1, -1).split(',')),
      new Set([GROUP_IDS.netboxSuperusers, GROUP_IDS.circuitManagers]),
      'roles and units are not groups',
    )
    const audit = await query('select * from audit_events where user_id = $1', [user?.id])
    t.equal(audit.length, 1)
    t.match(audit[0], {
      action: 'login',
      actor: 'login',
      username: 'sue.super@contoso.example',
      detail: { groupsAdded: ['NetBox Superusers', 'Circuit Manager'], origin: 'created', entraGroups: 2 },
    })
    const lines = gateway.log.filter((line) =>
      /Azure AD group mapping/.test(String(line.msg)) && line.user === 'sue.super@contoso.example'
    )
    t.equal(lines.length, 1)
    t.match(lines[0], {
      groupsAdded: ['NetBox Superusers', 'Circuit Manager'],
      groupsRemoved: [],
      staff: true,
      superuser: true,
      correlationId: audit[0]?.correlation_id,
    })
    t.match(browser.cookieHeader(gateway.url), /gatehouse_session=/)
  })

  // proves: unlinked-users-created, rights-read-each-time, nested-groups, memberships-replaced, flags-taken-away
  await t.test('a second login removes groups that Entra no longer grants and groups assigned manually', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.nested)
    const [user] = await query('select id from users where username = $1', ['nina.nested@contoso.example'])
    await query(
      "insert into user_groups (user_id, group_id) select $1, id from groups where name = 'NetBox Superusers'",
      [user?.id],
    )
    await query('update users set is_superuser = true where id = $1', [user?.id])
    t.equal(await groupsOf(gateway, browser), 'NetBox Superusers,Network Engineers', 'until then it counts')
    const [{ since } = {}] = await query(
      "select since from user_groups join groups g on g.id = group_id where user_id = $1 and g.name = 'Network " +
        "Engineers'",
      [user?.id],
    )
    const again = await gateway.signIn(PERSON_IDS.nested)
    t.equal(await groupsOf(gateway, again.browser), 'Network Engineers')
    t.equal(await groupsOf(gateway, browser), 'Network Engineers', 'in every other session too')
    t.same(
      await query('select since from user_groups where user_id = $1', [user?.id]),
      [{ since }],
      'what stays keeps its date',
    )
    gateway.entra.directory.removeMember(GROUP_IDS.berlinTeam, PERSON_IDS.nested)
    await gateway.signIn(PERSON_IDS.nested)
    t.equal(await groupsOf(gateway, browser), '')
    t.match(await query('select is_staff, is_superuser, staff_since from users where id = $1', [user?.id]), [{
      is_staff: false,
      is_superuser: false,
      staff_since: null,
    }])
  })

  // proves: guest-without-upn, session-replaced
  await t.test('signing in as another user replaces the session; every login has a new session id', async (t) => {
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const first = browser.cookieHeader(gateway.url)
    const page = await browser.follow(`${gateway.url}/oauth2/start?prompt=select_account`)
    t.equal((await pickPerson(browser, page, PERSON_IDS.guest)).status, 200)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).headers.get('remote-user'), 'gus.guest@fabrikam.example')
    t.not(browser.cookieHeader(gateway.url), first)
    t.equal(
      (await gateway.ask('/oauth2/auth', { headers: { cookie: first } })).status,
      401,
      'the session before is over',
    )
  })

  // proves: every-page
  await t.test('a user in 2,500 groups, with the mapped one on the last page', async (t) => {
    const before = gateway.entra.requests.length
    const { browser } = await gateway.signIn(PERSON_IDS.many)
    t.equal(await groupsOf(gateway, browser), 'Circuit Manager')
    t.equal(gateway.entra.requests.slice(before).filter((request) => request.server === 'graph').length, 3)
  })

  // proves: missing-group-named
  await t.test('a mapped group that does not exist here is named in the log and skipped', async (t) => {
    await query("delete from groups where name = 'Read Only'")
    const { browser, answer } = await gateway.signIn(PERSON_IDS.guest)
    t.equal(answer.status, 200)
    t.equal(await groupsOf(gateway, browser), '')
    t.ok(gateway.log.some((line) => line.msg === 'Azure AD group mapping - group not found locally: Read Only'))
    t.same(await query("select 1 from groups where name = 'Read Only'"), [], 'a login never makes a group')
  })
})

t.test('what a browser may get wrong, or an attacker send', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const { browser: signedIn } = await gateway.signIn(PERSON_IDS.staff)
  const before = await dump(query)
  const unchanged = async (t: Test): Promise<void> => {
    t.equal(await dump(query), before, 'nothing was written')
    t.equal((await gateway.ask('/oauth2/auth', { browser: signedIn })).status, 200, 'the earlier session lives')
  }
  /** A callback address that would complete a login of this browser. */
  const ready = async (browser: Browser): Promise<URL> => {
    const page = await browser.follow(`${gateway.url}/oauth2/start?prompt=select_account`)
    const { action, fields } = formOf(page)
    return new URL(
      (await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.guest } })).location ?? '',
    )
  }

  // proves: refusal-of-entra
  await t.test('bad callbacks answer with their code, and the code is not redeemed', async (t) => {
    const redeemed = () => gateway.entra.requests.filter((request) => request.path.endsWith('/token')).length
    const tokens = redeemed()
    const cases: [string, number, string, (url: URL, browser: Browser) => void][] = [
      ['without a state', 400, 'state_missing', (url) => url.searchParams.delete('state')],
      ['with an empty state', 400, 'state_missing', (url) => url.searchParams.set('state', '')],
      [
        'with a made-up state',
        400,
        'state_invalid',
        (url) => url.searchParams.set('state', randomBytes(150).toString('base64url')),
      ],
      [
        'with a changed state',
        400,
        'state_invalid',
        (url) =>
          url.searchParams.set(
            'state',
            (url.searchParams.get('state') ?? '').replace(/^./, (first) => first === 'A' ? 'B' : 'A'),
          ),
      ],
      ['without code and error', 400, 'callback_malformed', (url) => url.searchParams.delete('code')],
      ['with two states', 400, 'query_duplicate', (url) => url.searchParams.append('state', 'x')],
      ['with two codes', 400, 'query_duplicate', (url) => url.searchParams.append('code', 'x')],
      ['after a refusal', 403, 'login_cancelled', (url) => {
        url.searchParams.delete('code')
        url.searchParams.set('error', 'access_denied')
      }],
    ]
    for (const [name, status, expected, change] of cases) {
      const browser = createBrowser()
      const url = await ready(browser)
      change(url, browser)
      const answer = await browser.ask(url.href)
      t.equal(answer.status, status, name)
      t.equal(errorCode(answer), expected, name)
      t.notOk(
        answer.headers.getSetCookie().some((line) => line.startsWith('gatehouse_session')),
        `${name}: no session cookie`,
      )
      const program = await browser.ask(url.href, { headers: { accept: 'application/json' } })
      t.match(JSON.parse(program.text), { error: expected, message: String, correlation_id: /^[0-9a-f-]{36}$/ })
    }
    t.equal(redeemed(), tokens)
    await unchanged(t)
  })

  await t.test("Entra's own words never reach the page, and nothing is reflected without escaping", async (t) => {
    const browser = createBrowser()
    const url = await ready(browser)
    url.searchParams.delete('code')
    url.searchParams.set('error', '<script>alert(1)</script>')
    url.searchParams.set('error_description', '<img src=x onerror=alert(2)> AADSTS65004')
    const answer = await browser.ask(url.href)
    t.equal(errorCode(answer), 'consent_declined')
    t.notMatch(answer.text, /alert\(/)
    t.match(answer.headers.get('content-security-policy'), /default-src 'none'/)
    await unchanged(t)
  })

  // proves: security-flow-spent
  await t.test('a state is valid once: repeated callback and reused state with a new code are refused', async (t) => {
    const browser = createBrowser()
    const url = await ready(browser)
    const other = await ready(browser)
    t.equal((await browser.ask(url.href)).status, 302)
    const session = browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? ''
    browser.cookies.get('127.0.0.1')?.delete('gatehouse_session')
    const again = await browser.ask(url.href)
    t.equal(again.status, 400)
    t.equal(errorCode(again), 'state_replayed')
    const fresh = new URL(url)
    fresh.searchParams.set('code', other.searchParams.get('code') ?? '')
    t.equal(errorCode(await browser.ask(fresh.href)), 'state_replayed')
    browser.cookies.get('127.0.0.1')?.set('gatehouse_session', session)
    const swapped = new URL(other)
    swapped.searchParams.set('code', (await ready(browser)).searchParams.get('code') ?? '')
    t.equal(errorCode(await browser.ask(swapped.href)), 'code_mismatch', 'PKCE ties a code to its flow')
    t.equal((await browser.ask(fresh.href)).location, `${gateway.url}/`, 'a browser that is signed in goes on')
    t.equal(browser.cookies.get('127.0.0.1')?.get('gatehouse_session'), session, 'with the session that it has')
    await query("delete from users where username like 'gus%'")
  })

  // proves: rd-checked, adv-return-warned
  await t.test('rd of every open-redirect shape is refused or stays with us', async (t) => {
    const shapes = readFileSync('test/fixtures/open-redirects.txt', 'utf8').split('\n').filter((line) => line !== '')
    const leadsElsewhere = (rd: string): boolean =>
      URL.canParse(rd, gateway.url) && new URL(rd, gateway.url).origin !== gateway.url
    let refused = 0
    for (const rd of shapes) {
      for (const path of ['/oauth2/start', '/oauth2/sign_in']) {
        const answer = await gateway.ask(`${path}?rd=${encodeURIComponent(rd)}`)
        if (answer.status === 400) {
          refused++
          if (errorCode(answer) !== 'return_to_refused') t.fail(`${rd}: ${errorCode(answer)}`)
        } else if (
          ![200, 302].includes(answer.status) || leadsElsewhere(rd) ||
          (answer.location !== undefined && !answer.location.startsWith(`${gateway.entra.url}/`))
        ) t.fail(`${rd}: ${answer.status} ${answer.location}`)
      }
    }
    t.ok(refused > shapes.length, `${refused} refused`)
    t.match(gateway.log.find((line) => line.code === 'return_to_refused'), { level: 'warn', remedy: /./ })
  })

  // proves: adv-unknown-parameters
  await t.test('unknown and doubled parameters of our own pages', async (t) => {
    const others = '?fbclid=1&iss=x&utm_source=a&utm_source=b&constructor=c'
    const unharmed = { '/': 200, '/oauth2/start': 302, '/oauth2/sign_in': 200, '/oauth2/userinfo': 200 }
    for (const [path, status] of Object.entries(unharmed)) {
      t.equal((await gateway.ask(`${path}${others}`, { browser: signedIn })).status, status, path)
    }
    t.equal(
      errorCode(await gateway.ask('/oauth2/start?prompt=none')),
      'query_unknown',
      'a value that ours does not have',
    )
    const doubled = ['start?rd=/&rd=/', 'start?prompt=x&prompt=', 'sign_in?rd=/&rd=/', 'sign_out?rd=/&rd=/']
    for (const path of doubled.map((each) => `/oauth2/${each}`)) {
      t.equal(errorCode(await gateway.ask(path)), 'query_duplicate', path)
    }
    t.equal(errorCode(await gateway.ask('/nothing')), 'not_found')
    t.equal(errorCode(await gateway.ask('/admin')), 'not_found')
    t.equal((await gateway.ask('/oauth2/start', { method: 'POST' })).status, 404)
  })
})

t.test('who may not come in', async (t) => {
  // proves: inactive-refused
  await t.test("a deactivated user is refused before Graph's answer changes anything", async (t) => {
    const gateway = await startTestGateway(t)
    const query = await connect(t, gateway.databaseUrl)
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    await query("update users set is_active = false where username like 'sam%'")
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 401, 'a live session counts as nobody')
    gateway.entra.directory.addMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.staff)
    const before = await dump(query)
    const { answer } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(answer.status, 403)
    t.equal(errorCode(answer), 'user_inactive')
    t.equal(await dump(query), before)
  })

  await t.test('requireMappedGroup: an unmapped user is refused, loses all rights, and is not created', async (t) => {
    const gateway = await startTestGateway(t, { config: { requireMappedGroup: true } })
    const query = await connect(t, gateway.databaseUrl)
    const { browser } = await gateway.signIn(PERSON_IDS.superuser)
    gateway.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    const { answer } = await gateway.signIn(PERSON_IDS.superuser)
    t.equal(errorCode(answer), 'not_mapped')
    t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 401)
    t.same(await query('select is_staff, is_superuser from users'), [{ is_staff: false, is_superuser: false }])
    t.same(await query('select 1 from user_groups'), [])
    t.equal(errorCode((await gateway.signIn(PERSON_IDS.nobody)).answer), 'not_mapped')
    t.same(await query('select count(*)::int as n from users'), [{ n: 1 }])
    t.same(
      await query('select action, username from audit_events where action <> all($1) order by id', [
        ['group.add', 'policy.loaded'],
      ]),
      [
        { action: 'login', username: PEOPLE.superuser.userPrincipalName },
        { action: 'login.refused', username: PEOPLE.superuser.userPrincipalName },
        { action: 'login.refused', username: PEOPLE.nobody.userPrincipalName },
      ],
    )
  })

  await t.test('requireMappedGroup where another login read Graph later: what stands decides', async (t) => {
    const gateway = await startTestGateway(t, { config: { requireMappedGroup: true } })
    const query = await connect(t, gateway.databaseUrl)
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    await query("update entra_readings set read_at = now() + interval '1 hour'")
    gateway.entra.directory.removeMember(GROUP_IDS.networkEngineers, PERSON_IDS.staff)
    t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200, 'the older, empty reading neither refuses')
    t.equal(await groupsOf(gateway, browser), 'Network Engineers', 'nor ends the sessions of the newer one')
    await query('delete from user_groups')
    await query('update users set is_staff = false')
    gateway.entra.directory.addMember(GROUP_IDS.networkEngineers, PERSON_IDS.staff)
    t.equal(
      errorCode((await gateway.signIn(PERSON_IDS.staff)).answer),
      'not_mapped',
      'an older reading that still saw the group opens nothing',
    )
    t.same(await query('select 1 from sessions'), [])
  })

  await t.test('a person who is not assigned to the application', async (t) => {
    const gateway = await startTestGateway(t, { app: { assignmentRequired: true, assignedUsers: [PERSON_IDS.staff] } })
    t.equal(errorCode((await gateway.signIn(PERSON_IDS.guest)).answer), 'person_not_assigned')
    t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
  })
})

// proves: username-free
t.test('names: used and reserved ones get a suffix, a sanitized one does not', async (t) => {
  const gateway = await startTestGateway(t, {
    app: { optionalClaims: ['upn', 'email'] },
    config: { reservedUsernames: ['Sue.Super@contoso.example'] },
  })
  const query = await connect(t, gateway.databaseUrl)
  await query(
    "insert into users (username, username_key) values ('SAM.STAFF@CONTOSO.EXAMPLE', 'sam.staff@contoso.example')",
  )
  gateway.entra.directory.users.get(PERSON_IDS.nested)!.userPrincipalName = 'nina née@contoso.example'
  for (const person of ['staff', 'superuser', 'nested'] as const) {
    t.equal((await gateway.signIn(PERSON_IDS[person])).answer.status, 200)
  }
  const names = (await query<{ username: string }>('select username from users order by username')).map((row) =>
    row.username
  )
  t.equal(names.length, 4)
  t.ok(names.some((name) => /^sam\.staff-[0-9a-f]{8}@contoso\.example$/.test(name)), names.join(' '))
  t.ok(names.some((name) => /^sue\.super-[0-9a-f]{8}@contoso\.example$/.test(name)))
  t.ok(names.some((name) => name === 'ninane@contoso.example'))
})

t.test('restart with another mapping: the cookie is still good, rights change at the next login', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(await groupsOf(gateway, browser), 'Network Engineers')
  const after = await gateway.restart({
    groupMapping: MAPPING.map((row) =>
      row.entraGroup === GROUP_IDS.networkEngineers ? { ...row, groups: ['Circuit Manager'], staff: false } : row
    ),
  })
  t.equal(await groupsOf(after, browser), 'Network Engineers')
  await after.signIn(PERSON_IDS.staff, { browser })
  t.equal(await groupsOf(after, browser), 'Circuit Manager')
  t.equal((await after.ask('/oauth2/auth', { browser })).headers.get('x-auth-request-staff'), 'false')
})

t.test('start, callback and sign-out are rate-limited by client address; the auth endpoint is not', async (t) => {
  const gateway = await startTestGateway(t, { config: { server: { rateLimit: 5 } } })
  const statuses: number[] = []
  for (let each = 0; each < 8; each++) statuses.push((await gateway.ask('/oauth2/start')).status)
  t.same(statuses, [302, 302, 302, 302, 302, 429, 429, 429])
  const limited = await gateway.ask('/oauth2/start')
  t.equal(errorCode(limited), 'rate_limited')
  t.match(limited.headers.get('retry-after'), /^\d+$/)
  t.equal(
    (await gateway.ask('/oauth2/start', { headers: { 'x-forwarded-for': '203.0.113.9' } })).status,
    302,
    'another client behind the same proxy',
  )
  t.equal(
    (await gateway.ask('/oauth2/start', { headers: { 'x-forwarded-for': '203.0.113.7, 127.0.0.1' } })).status,
    302,
  )
  for (let each = 0; each < 20; each++) t.equal((await gateway.ask('/oauth2/auth')).status, 401)
  const sameNetwork: number[] = []
  for (let each = 0; each < 8; each++) {
    sameNetwork.push(
      (await gateway.ask('/oauth2/start', { headers: { 'x-forwarded-for': `2001:db8:1:2::${each}` } })).status,
    )
  }
  t.same(sameNetwork, [302, 302, 302, 302, 302, 429, 429, 429], 'one IPv6 network is one client')
})

t.test("on another host than publicUrl's the browser is taken there, with rd made absolute", async (t) => {
  const gateway = await startTestGateway(t, {
    config: { server: { redirectDomains: ['127.0.0.1:*', 'app.example.test'] } },
  })
  const answer = await gateway.ask('/oauth2/start?rd=/deep?x=1', {
    headers: { 'x-forwarded-host': 'app.example.test' },
  })
  t.equal(answer.location, `${gateway.url}/oauth2/start?rd=${encodeURIComponent('http://app.example.test/deep?x=1')}`)
  t.equal((await gateway.ask('/oauth2/start?rd=/deep', { headers: { 'x-forwarded-host': 'evil.test' } })).status, 400)
  const byHeader = await gateway.ask('/oauth2/start', {
    headers: { 'x-auth-request-redirect': 'http://app.example.test/y' },
  })
  t.equal(byHeader.status, 302, 'a trusted proxy may give rd in a header')
  const signIn = async (headers: Record<string, string>) =>
    /href="([^"]*\/oauth2\/start[^"]*)"/.exec((await gateway.ask('/oauth2/sign_in', { headers })).text)?.[1]
  t.equal(
    await signIn({ 'x-auth-request-redirect': 'http://app.example.test/y' }),
    `${gateway.url}/oauth2/start?rd=${encodeURIComponent('http://app.example.test/y')}`,
    'to the sign-in page too',
  )
  t.equal(
    await signIn({ 'x-auth-request-redirect': '/y?z', 'x-forwarded-host': 'app.example.test' }),
    `${gateway.url}/oauth2/start?rd=${encodeURIComponent('http://app.example.test/y?z')}`,
  )
  for (const own of ['/oauth2/sign_in', '/oauth2/start?rd=/x', 'http://app.example.test/oauth2/start']) {
    t.equal(
      await signIn({ 'x-auth-request-redirect': own }),
      `${gateway.url}/oauth2/start?rd=${encodeURIComponent(`${gateway.url}/`)}`,
      `${own}: not back to a step of the sign-in`,
    )
  }
  for (const own of ['/oauth2/start', '/oauth2/start?rd=/x', '/oauth2/sign_out', '/oauth2/x/../start']) {
    const { answer } = await gateway.signIn(PERSON_IDS.staff, { rd: own })
    t.equal(answer.trail.at(-1), `${gateway.url}/`, `${own}: not round in circles`)
  }
  const untrusted = await gateway.restart({ server: { trustedProxies: ['192.0.2.1'] } })
  t.match(
    (await untrusted.ask('/oauth2/start?rd=/deep', { headers: { 'x-forwarded-host': 'app.example.test' } })).location,
    `${gateway.entra.url}/`,
  )
})

t.test('a login is one transaction, and its statements do not grow with the groups', async (t) => {
  const rows = Array.from(
    { length: 200 },
    (_, index) => ({
      entraGroup: `d0000000-0000-4000-8000-${(index + 1).toString(16).padStart(12, '0')}`,
      groups: [`Local ${index}`],
    }),
  )
  const gateway = await startTestGateway(t, {
    config: { groupMapping: rows },
    groups: rows.flatMap((row) => row.groups),
  })
  const statements: string[] = []
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config] = args as [string | { text?: string }]
    statements.push(String(typeof config === 'string' ? config : config.text).trim().replace(/\s+/g, ' '))
    return (query as (...all: unknown[]) => unknown).apply(this, args)
  } as typeof query
  t.teardown(() => {
    pg.Client.prototype.query = query
  })
  const counted = async (personId: string): Promise<string[]> => {
    const browser = createBrowser()
    const { action, fields } = formOf(await browser.follow(`${gateway.url}/oauth2/start?prompt=select_account`))
    const back = await browser.ask(action, { method: 'POST', form: { ...fields, person: personId } })
    statements.length = 0
    t.equal((await browser.ask(back.location ?? '')).status, 302)
    return statements.filter((statement) => !IN_THE_BACKGROUND.test(statement))
  }
  const none = await counted(PERSON_IDS.nobody)
  const many = await counted(PERSON_IDS.many)
  t.equal(many.filter((statement) => /^begin/i.test(statement)).length, 1)
  t.equal(many.filter((statement) => /^commit/i.test(statement)).length, 1)
  t.comment(
    `${many.length} statements with 200 groups, ${none.length} with none; ${
      many.findIndex((statement) => /^begin/i.test(statement))
    } of them before the transaction`,
  )
  t.equal(many.length - none.length, 1, 'the one that looks the names up')
  const written = many.slice(0, many.findIndex((statement) => /^begin/i.test(statement))).filter((statement) =>
    !/^select|^$/i.test(statement)
  )
  t.same(written, [], 'nothing is written before it')
  t.equal(
    (await connect(t, gateway.databaseUrl).then((query) => query('select count(*)::int as n from user_groups')))[0]?.n,
    200,
  )
})

t.test('linking by e-mail', async (t) => {
  const gateway = await startTestGateway(t, { config: { associateByEmail: true } })
  const query = await connect(t, gateway.databaseUrl)
  const { directory } = gateway.entra
  const user = (key: 'staff' | 'superuser' | 'nested' | 'many') => directory.users.get(PERSON_IDS[key])!
  const add = (username: string, email: string, more = {}) =>
    query(
      'insert into users (username, username_key, email, is_active, is_staff, is_superuser, is_break_glass) values ' +
        '($1, $1, $2, $3, $4, $5, $6)',
      [username, email, ...Object.values({ active: true, staff: false, superuser: false, breakGlass: false, ...more })],
    )
  const nameOf = async (personId: string) =>
    (await query('select username from users join identities on user_id = id where oid = $1', [personId]))[0]?.username

  // proves: link-recorded, email-any-case
  await t.test('a verified address links to the one eligible user, whatever its case, and only once', async (t) => {
    await add('old-sam', 'SAM.Staff@contoso.example')
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    t.equal(await nameOf(PERSON_IDS.staff), 'old-sam')
    t.equal(await groupsOf(gateway, browser), 'Network Engineers')
    t.match((await query("select detail from audit_events where action = 'login'"))[0]?.detail, { origin: 'linked' })
    user('superuser').mail = 'sam.staff@contoso.example'
    await gateway.signIn(PERSON_IDS.superuser)
    t.equal(
      await nameOf(PERSON_IDS.superuser),
      'sue.super@contoso.example',
      "who has an Entra identity is nobody's to link to",
    )
  })

  // proves: verified-alone-linked
  await t.test('an unverified address links to no user', async (t) => {
    await add('old-nina', 'nina.nested@contoso.example')
    for (const edov of [undefined, false] as const) {
      if (edov === undefined) delete user('nested').edov
      else user('nested').edov = edov
      await gateway.signIn(PERSON_IDS.nested)
      t.equal(await nameOf(PERSON_IDS.nested), 'nina.nested@contoso.example', String(edov))
      await query("delete from users where username = 'nina.nested@contoso.example'")
    }
    user('nested').edov = '1'
    await gateway.signIn(PERSON_IDS.nested)
    t.equal(await nameOf(PERSON_IDS.nested), 'old-nina', '"1" is how Entra may say true')
  })

  // proves: active-alone-linked, staff-never-linked, superusers-never-linked, break-glass-never-linked
  await t.test('never to staff, superusers, break-glass or inactive users', async (t) => {
    for (
      const [name, more] of Object.entries({
        'a-staff': { staff: true },
        'a-superuser': { superuser: true },
        'a-breakglass': { breakGlass: true },
        'an-inactive': { active: false },
      })
    ) {
      await add(name, 'max.many@contoso.example', more)
      await gateway.signIn(PERSON_IDS.many)
      t.equal(await nameOf(PERSON_IDS.many), 'max.many@contoso.example', name)
      await query("delete from users where email = 'max.many@contoso.example'")
    }
  })

  // proves: several-refused
  await t.test('several eligible users refuse the login', async (t) => {
    await add('one', 'max.many@contoso.example')
    await add('two', 'Max.Many@contoso.example')
    const before = await dump(query)
    t.equal(errorCode((await gateway.signIn(PERSON_IDS.many)).answer), 'email_ambiguous')
    t.equal(await dump(query), before)
  })

  // proves: known-not-linked
  await t.test('a known user is not linked to another user', async (t) => {
    await query("delete from users where email ilike 'max.many@%'")
    await gateway.signIn(PERSON_IDS.many)
    await add('another-max', 'max.many@contoso.example')
    t.equal((await gateway.signIn(PERSON_IDS.many)).answer.status, 200)
    t.equal(await nameOf(PERSON_IDS.many), 'max.many@contoso.example')
  })

  // proves: linking-armed
  await t.test('inert unless it is armed', async (t) => {
    await query("delete from users where email ilike 'max.many@%'")
    await add('old-max', 'max.many@contoso.example')
    const unarmed = await gateway.restart({ associateByEmail: false })
    await unarmed.signIn(PERSON_IDS.many)
    t.equal(await nameOf(PERSON_IDS.many), 'max.many@contoso.example')
  })
})

// proves: gate-for-guests
t.test('the steps in another order, and the optional gate', async (t) => {
  const pipeline = [
    'social_uid',
    'social_user',
    'social_details',
    'auth_allowed',
    'associate_by_email',
    'get_username',
    'create_user',
    'load_extra_data',
    'associate_user',
    'user_details',
    'azuread_map_groups',
  ]
  const gateway = await startTestGateway(t, {
    config: { pipeline, authAllowed: { guests: false, emailDomains: ['contoso.example'] } },
    app: { optionalClaims: ['email', 'xms_edov', 'acct'] },
  })
  const query = await connect(t, gateway.databaseUrl)
  const { browser, answer } = await gateway.signIn(PERSON_IDS.staff)
  t.equal(answer.status, 200)
  t.equal(await groupsOf(gateway, browser), 'Network Engineers')
  const before = await dump(query)
  const directory = gateway.entra.directory
  t.equal(errorCode((await gateway.signIn(PERSON_IDS.guest)).answer), 'person_not_allowed', 'a guest')
  directory.users.get(PERSON_IDS.nobody)!.mail = 'nobody@fabrikam.example'
  t.equal(errorCode((await gateway.signIn(PERSON_IDS.nobody)).answer), 'person_not_allowed', 'another domain')
  directory.users.get(PERSON_IDS.nobody)!.mail = 'nobody@fabrikam.example@contoso.example'
  t.equal(errorCode((await gateway.signIn(PERSON_IDS.nobody)).answer), 'person_not_allowed', 'two @')
  directory.users.get(PERSON_IDS.nobody)!.mail = 'nobody@contoso.example'
  directory.users.get(PERSON_IDS.nobody)!.edov = false
  t.equal(errorCode((await gateway.signIn(PERSON_IDS.nobody)).answer), 'person_not_allowed', 'not verified')
  t.equal(await dump(query), before)
  gateway.entra.app.optionalClaims = ['email', 'xms_edov']
  t.equal(
    errorCode((await gateway.signIn(PERSON_IDS.staff)).answer),
    'person_not_allowed',
    'who cannot be told from a guest',
  )
})

t.test('Gatehouse starts and serves while Entra ID and Graph are down, and reports which is down', async (t) => {
  const gateway = await startTestGateway(t)
  const parts = async (of: TestGateway): Promise<{ status: number, parts: Record<string, unknown> }> => {
    const answer = await createBrowser().ask(`${of.management}/readyz`)
    return { status: answer.status, parts: (JSON.parse(answer.text) as { parts: Record<string, unknown> }).parts }
  }
  t.match(await parts(gateway), {
    status: 200,
    parts: { database: 'ok', entra: { state: 'unknown', since: null }, graph: { state: 'unknown' } },
  })
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  t.match(await parts(gateway), { status: 200, parts: { entra: { state: 'ok', since: /Z$/ }, graph: { state: 'ok' } } })

  for (const on of ['token', 'keys', 'discovery'] as const) {
    gateway.entra.faults.add({ on, times: Infinity, then: { kind: 'reset' } })
  }
  const restarted = await gateway.restart()
  t.equal((await restarted.ask('/oauth2/auth', { browser })).status, 200, 'a live session goes on')
  t.equal(errorCode((await restarted.signIn(PERSON_IDS.staff)).answer), 'entra_unavailable')
  t.match(await parts(restarted), {
    status: 200,
    parts: { database: 'ok', entra: { state: 'failing', since: /Z$/ }, graph: { state: 'unknown' } },
  })
  gateway.entra.faults.clear()
  gateway.entra.faults.add({ on: 'graph', times: Infinity, then: { kind: 'status', status: 500 } })
  t.equal(errorCode((await restarted.signIn(PERSON_IDS.staff)).answer), 'graph_unavailable')
  t.match(await parts(restarted), { status: 200, parts: { entra: { state: 'ok' }, graph: { state: 'failing' } } })
  t.equal((await restarted.ask('/oauth2/auth', { browser })).status, 200)
})

// proves: adv-login-address
t.test('a sign-in leaves the client address in its log line and its audit row', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const browser = createBrowser()
  const page = await browser.follow(`${gateway.url}/oauth2/start`)
  const { action, fields } = formOf(page)
  const picked = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
  await browser.ask(picked.location ?? '', { headers: { 'x-forwarded-for': '203.0.113.77' } })
  const line = gateway.log.find(({ msg }) => String(msg).includes('Azure AD group mapping - user'))
  t.equal(line?.client, '203.0.113.77')
  const [row] = await query("select detail->>'client' as client from audit_events where action = 'login'")
  t.strictSame(row, { client: '203.0.113.77' })
})
