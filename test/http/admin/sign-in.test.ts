// Getting into the console: a fresh sign-in at Entra ID, the admin session that it makes, and its renewal.
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { refreshOf, signInToConsole } from '../../helpers/admin.js'
import { createBrowser, formOf, type Answer, type Browser } from '../../helpers/browser.js'
import { pickPerson, startTestGateway, type TestGateway, type TestGatewayOptions } from '../../helpers/gateway.js'
import { TARGET } from '../../helpers/targets.js'

const PROGRAM = { 'accept': 'application/json', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }

type Rows = <Row extends Record<string, unknown>>(statement: ReturnType<typeof sql>) => Promise<Row[]>

async function start(t: Test, options: TestGatewayOptions = {}): Promise<{ gateway: TestGateway, rows: Rows }> {
  const gateway = await startTestGateway(t, { ...options, config: { admin: {}, ...options.config } })
  const { database } = gateway.gateway
  return { gateway, rows: async (statement) => (await database.ask((db) => db.execute(statement))).rows as never }
}

const codeOf = ({ text }: Pick<Answer, 'text'>): string | undefined =>
  /data-field="code">([a-z_]+)</.exec(text)?.[1] ?? /"(?:error|code)":"([a-z_]+)"/.exec(text)?.[1]

/** Whether this browser may see the console. */
async function opens(gateway: TestGateway, browser: Browser): Promise<boolean> {
  const { status } = await browser.ask(`${gateway.url}/admin/step-up`, { headers: PROGRAM })
  return status === 204
}

const cookieOf = (browser: Browser, name: string): string | undefined =>
  browser.cookies.get('127.0.0.1')?.get(`gatehouse_${name}`)

interface StoredSession extends Record<string, unknown> {
  readonly id: string
  readonly created: string
  readonly authenticated: string | null
}
const SESSIONS = sql`select public_id as id, created_at::text as created, authenticated_at::text as authenticated
  from sessions order by created_at`

// proves: admin-prompt-login
t.test('nobody is signed in: the console asks Entra ID for a fresh sign-in, and goes on by itself', async (t) => {
  const { gateway, rows } = await start(t)
  const browser = createBrowser()
  const sent = await browser.ask(`${gateway.url}/admin/people?q=a%26b`)
  t.equal(sent.status, 302)
  const asked = new URL(sent.location ?? '')
  t.equal(asked.origin, gateway.entra.url)
  t.equal(asked.searchParams.get('prompt'), 'login')
  const answer = await pickPerson(browser, await browser.follow(sent.location ?? ''), PERSON_IDS.staff)
  t.equal(answer.status, 200, 'no redirect: that would bring no Strict cookie')
  t.equal(refreshOf(answer), `${gateway.url}/admin/people?q=a%26b`)
  t.match(answer.text, `href="${gateway.url}/admin/people?q=a%26b"`)
  const [line] = answer.headers.getSetCookie().filter((each) => each.startsWith('gatehouse_admin='))
  t.match(line, /; Path=\/; HttpOnly; SameSite=Strict$/)
  t.ok(await opens(gateway, browser))
  const [session] = await rows<StoredSession>(SESSIONS)
  t.ok(Math.abs(Date.parse(String(session?.authenticated)) - Date.now()) < 30_000)
  t.match(await rows(sql`select detail->>'stepUp' as for from audit_events where action = 'login'`), [{ for: 'admin' }])
})

t.test('whoever is signed in signs in again, as the same person, in the same session', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const former = gateway.url && browser.cookieHeader(gateway.url)
  await rows(sql`update sessions set created_at = now() - interval '1 hour'`)
  const [before] = await rows<StoredSession>(SESSIONS)
  const sent = await browser.ask(`${gateway.url}/admin/people`)
  const { searchParams } = new URL(sent.location ?? '')
  t.match(searchParams.get('login_hint'), /^O\./)
  const answer = await pickPerson(browser, await browser.follow(sent.location ?? ''), PERSON_IDS.staff)
  t.equal(refreshOf(answer), `${gateway.url}/admin/people`)
  t.ok(await opens(gateway, browser))
  const [after, second] = await rows<StoredSession>(SESSIONS)
  t.equal(second, undefined)
  t.match(after, { id: before?.id, created: before?.created }, 'its age and public id stay')
  t.equal((await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status, 200)
  t.equal((await gateway.ask('/oauth2/auth', { headers: { ...TARGET, cookie: former } })).status, 401, 'the former id')
})

// proves: admin-entry-unknown-to-others, admin-session-for-nobody
t.test('a user without a permission finds nothing', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await gateway.signIn(PERSON_IDS.many)
  const unknown = await gateway.ask('/unknown', { browser })
  for (const path of ['/admin/people', '/admin/step-up', '/admin/nothing']) {
    const answer = await gateway.ask(path, { browser })
    t.match({ status: answer.status, code: codeOf(answer) }, { status: 404, code: 'not_found' }, path)
    t.equal(answer.text.length, unknown.text.length, 'the ordinary page')
  }
  const { browser: fresh, answer } = await signInToConsole(gateway, PERSON_IDS.many)
  t.equal(answer.status, 200)
  t.equal((await gateway.ask('/admin/people', { browser: fresh })).status, 404)
  t.equal(cookieOf(fresh, 'admin'), undefined)
  t.same(await rows(sql`select 1 from admin_sessions`), [])
})

// proves: admin-page-loads-alone
t.test('programs get 401, and no redirect', async (t) => {
  const { gateway } = await start(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const requests: readonly (readonly [string, string, Record<string, string>])[] = [
    ['GET', '/admin/people', PROGRAM],
    ['GET', '/admin/people', { accept: '*/*' }],
    ['GET', '/admin/people', { 'hx-request': 'true' }],
    ['GET', '/admin/people', { 'sec-fetch-dest': 'iframe' }],
    ['GET', '/admin/step-up', PROGRAM],
    ['POST', '/admin/sign-out', {}],
    ['GET', '/admin/api/v1/me', PROGRAM],
    ['GET', '/admin/api/v1/me', {}],
  ]
  for (const [method, path, headers] of requests) {
    const answer = await gateway.ask(path, { browser, method, headers })
    t.match({ status: answer.status, code: codeOf(answer) }, { status: 401, code: 'admin_sign_in_required' }, path)
    if (path.includes('/api/')) t.match(answer.headers.get('content-type'), /^application\/problem\+json/)
    t.equal(answer.headers.get('hx-redirect'), headers['hx-request'] ? path : null)
  }
  const ahead = await gateway.ask('/admin/people', { browser, headers: { 'sec-purpose': 'prefetch' } })
  t.match({ status: ahead.status, code: codeOf(ahead) }, { status: 503, code: 'loaded_ahead' })
})

// proves: admin-cross-site-load
t.test('a page load from another site goes on by itself, once', async (t) => {
  const { gateway } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const admin = cookieOf(browser, 'admin') ?? ''
  browser.cookies.get('127.0.0.1')?.delete('gatehouse_admin')
  const link = await gateway.ask('/admin/people?q=1', { browser, headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal(link.status, 200)
  t.equal(refreshOf(link), `${gateway.url}/admin/people?q=1`)
  t.equal((await gateway.ask('/admin/people', { browser })).status, 302, 'the next one is a sign-in')
  browser.cookies.get('127.0.0.1')?.set(
    'gatehouse_admin',
    admin.replace(/^adm_./, (start) => start === 'adm_-' ? 'adm_A' : 'adm_-'),
  )
  const sent = await gateway.ask('/admin/people', { browser, headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal(sent.status, 302, 'with a cookie that is over, at once')
  t.equal(cookieOf(browser, 'admin'), undefined, 'which is cleared')
})

// proves: admin-auth-time-missing, admin-auth-time-stale, admin-auth-time-future
t.test('only auth_time says that a sign-in was fresh', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const before = await rows<StoredSession>(SESSIONS)
  const logins = async () => await rows(sql`select 1 from audit_events where action = 'login'`)
  const now = () => Math.floor(Date.now() / 1000)
  const stale: readonly (readonly [string, (claims: Record<string, unknown>) => void])[] = [
    ['none', (claims) => delete claims.auth_time],
    ['none, and a new iat', (claims) => {
      delete claims.auth_time
      claims.iat = now()
    }],
    ['of two minutes ago', (claims) => Object.assign(claims, { auth_time: now() - 120 })],
    ['of an hour ahead', (claims) => Object.assign(claims, { auth_time: now() + 3_600 })],
    ['a text', (claims) => Object.assign(claims, { auth_time: String(now()) })],
    ['a null', (claims) => Object.assign(claims, { auth_time: null })],
  ]
  for (const [name, change] of stale) {
    gateway.entra.faults.add({ on: 'token', then: { kind: 'mutateClaims', change } })
    const { answer } = await signInToConsole(gateway, PERSON_IDS.staff, { browser })
    t.match({ status: answer.status, code: codeOf(answer) }, { status: 403, code: 'step_up_unmet' }, name)
    t.match(answer.text, 'Microsoft Entra ID gave')
    t.equal(cookieOf(browser, 'admin'), undefined)
    t.ok(gateway.log.some(({ code, remedy }) => code === 'step_up_unmet' && /auth_time|clocks/.test(String(remedy))))
  }
  t.same(await rows(SESSIONS), before, 'the session stays as it was')
  t.equal((await logins()).length, 1, 'and nothing was recorded as a sign-in')
  gateway.entra.faults.add({
    on: 'token',
    then: { kind: 'mutateClaims', change: (claims) => Object.assign(claims, { auth_time: now() - 30 }) },
  })
  await signInToConsole(gateway, PERSON_IDS.staff, { browser })
  t.ok(await opens(gateway, browser), 'half a minute before the flow began is fresh')
})

t.test('without the optional claim in the registration the page says so', async (t) => {
  const { gateway } = await start(t, { app: { optionalClaims: ['email', 'sid', 'login_hint'] } })
  const { answer } = await signInToConsole(gateway, PERSON_IDS.staff)
  t.equal(codeOf(answer), 'step_up_unmet')
  t.match(gateway.log.find(({ code }) => code === 'step_up_unmet'), { remedy: /optional claim auth_time/ })
})

// proves: admin-other-person
t.test('another person who comes back changes nothing', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const state = async () => ({
    users: await rows(sql`select username, last_login_at::text from users order by username`),
    sessions: await rows(SESSIONS),
    groups: await rows(sql`select user_id, group_id from user_groups order by 1, 2`),
    identities: await rows(sql`select oid from identities order by 1`),
    audit: await rows(sql`select count(*)::int from audit_events`),
    admin: await rows(sql`select id from admin_sessions`),
  })
  const before = await state()
  for (const person of [PERSON_IDS.superuser, PERSON_IDS.many]) {
    const { answer } = await signInToConsole(gateway, person, { browser })
    t.match({ status: answer.status, code: codeOf(answer) }, { status: 403, code: 'step_up_other_person' })
    t.match(answer.text, `/oauth2/sign_out?rd=${encodeURIComponent(`${gateway.url}/admin/people`)}`)
    t.same(await state(), before)
  }
  t.equal((await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status, 200)
  await gateway.ask(`/oauth2/sign_out?rd=${encodeURIComponent(`${gateway.url}/admin/people`)}`, { browser })
  await signInToConsole(gateway, PERSON_IDS.superuser, { browser })
  t.ok(await opens(gateway, browser), 'after the sign-out the other person gets in')
})

// proves: admin-session-renewed
t.test('a step-up renews the ids of both sessions', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const [admin] = await rows<{ id: string, created: string }>(
    sql`update admin_sessions set created_at = now() - interval '1 hour', authenticated_at = now() - interval '1 hour'
      returning id, created_at::text as created`,
  )
  const old = { ...Object.fromEntries(browser.cookies.get('127.0.0.1') ?? []) }
  const [session] = await rows<StoredSession>(SESSIONS)
  const rd = '/admin/people?q=x'
  const { answer } = await signInToConsole(gateway, PERSON_IDS.staff, {
    browser,
    path: `/admin/step-up?rd=${encodeURIComponent(rd)}`,
  })
  t.equal(refreshOf(answer), `${gateway.url}${rd}`)
  t.ok(await opens(gateway, browser))
  t.not(cookieOf(browser, 'admin'), old.gatehouse_admin)
  t.not(cookieOf(browser, 'session'), old.gatehouse_session)
  const stale = createBrowser()
  stale.cookies.set('127.0.0.1', new Map([['gatehouse_admin', String(old.gatehouse_admin)]]))
  t.notOk(await opens(gateway, stale), 'the former cookie is refused')
  const [after, more] = await rows<{ id: string, created: string, fresh: boolean }>(
    sql`select id, created_at::text as created, authenticated_at > now() - interval '1 minute' as fresh
      from admin_sessions`,
  )
  t.match(after, { ...admin, fresh: true })
  t.equal(more, undefined)
  t.match(await rows<StoredSession>(SESSIONS), [{ id: session?.id, created: session?.created }])
})

t.test('two tabs that step up at once', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const pages = [
    await browser.follow(`${gateway.url}/admin/step-up`),
    await browser.follow(`${gateway.url}/admin/step-up`),
  ]
  const callbacks = []
  for (const page of pages) {
    const { action, fields } = formOf(page)
    callbacks.push(
      (await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })).location,
    )
  }
  const cookie = browser.cookieHeader(gateway.url) // both leave with the same cookies
  const answers = await Promise.all(callbacks.map((url) => browser.ask(String(url), { headers: { cookie } })))
  t.same(answers.map(({ status }) => status), [200, 200])
  t.equal(
    answers.flatMap(({ headers }) => headers.getSetCookie()).filter((line) => line.startsWith('gatehouse_session='))
      .length,
    1,
    'one of them renews the session',
  )
  t.equal((await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status, 200)
  t.equal((await rows(SESSIONS)).length, 1)
  for (const answer of answers) {
    const [line = ''] = answer.headers.getSetCookie().filter((each) => each.startsWith('gatehouse_admin='))
    const tab = createBrowser()
    tab.cookies.set('127.0.0.1', new Map([['gatehouse_admin', line.slice(16).split(';')[0] ?? '']]))
    t.ok(await opens(gateway, tab), 'either cookie of the console is good')
  }
})

t.test('a session that ended meanwhile is not brought back: a new one begins', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const [before] = await rows<StoredSession>(SESSIONS)
  const page = await browser.follow(`${gateway.url}/admin/step-up`)
  await rows(sql`update sessions set created_at = now() - interval '91 days'`)
  await pickPerson(browser, page, PERSON_IDS.staff)
  t.ok(await opens(gateway, browser))
  const all = await rows<StoredSession>(SESSIONS)
  const [newest] = all.slice(-1)
  t.not(newest?.id, before?.id)

  const next = await browser.follow(`${gateway.url}/admin/step-up`)
  await rows(sql`delete from sessions`)
  await pickPerson(browser, next, PERSON_IDS.staff)
  t.ok(await opens(gateway, browser))
  t.not((await rows<StoredSession>(SESSIONS))[0]?.id, newest?.id)
})

t.test('a user who is deactivated during the sign-in is refused', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const page = await browser.follow(`${gateway.url}/admin/step-up`)
  await rows(sql`update users set is_active = false`)
  const answer = await pickPerson(browser, page, PERSON_IDS.staff)
  t.equal(codeOf(answer), 'user_inactive')
  t.notOk(await opens(gateway, browser))
})

t.test('the sign-in of another session of this browser renews nothing of it', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const page = await browser.follow(`${gateway.url}/admin/step-up`)
  await gateway.ask('/oauth2/sign_out', { browser })
  await gateway.signIn(PERSON_IDS.superuser, { browser })
  const [sue] = await rows<StoredSession>(SESSIONS)
  const wrong = await pickPerson(browser, page, PERSON_IDS.superuser)
  t.equal(codeOf(wrong), 'step_up_other_person', 'it was of somebody else')
  t.match(await rows(SESSIONS), [{ id: sue?.id, authenticated: sue?.authenticated }])
  const answer = await pickPerson(browser, await browser.follow(page.url), PERSON_IDS.staff)
  t.equal(answer.status, 200)
  const [sam, other] = await rows<StoredSession & { username: string }>(
    sql`select s.public_id as id, u.username from sessions s join users u on u.id = s.user_id`,
  )
  t.equal(other, undefined, 'as at every sign-in, the session of this browser is replaced')
  t.match(sam?.username, /sam/)
})

t.test('a changed state, or one of another browser, makes no admin session', async (t) => {
  const { gateway } = await start(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const page = await browser.follow(`${gateway.url}/admin/people`)
  const { action, fields } = formOf(page)
  const { location = '' } = await browser.ask(action, { method: 'POST', form: { ...fields, person: PERSON_IDS.staff } })
  const callback = new URL(location)
  const state = callback.searchParams.get('state') ?? ''
  callback.searchParams.set('state', `${state.slice(0, 40)}${state[40] === 'A' ? 'B' : 'A'}${state.slice(41)}`)
  t.equal(codeOf(await browser.ask(callback.href)), 'state_invalid')
  const stranger = createBrowser()
  await stranger.ask(location)
  t.equal(cookieOf(stranger, 'admin'), undefined)
  const { browser: victim } = await gateway.signIn(PERSON_IDS.superuser)
  const sent = await victim.ask(location)
  t.equal(sent.status, 302, 'to the page, with the session that is there')
  t.equal(cookieOf(victim, 'admin'), undefined)
  await browser.ask(location)
  t.ok(await opens(gateway, browser))
  const replayed = await browser.ask(location)
  t.notOk(replayed.headers.getSetCookie().some((line) => line.startsWith('gatehouse_admin=')), 'once')
})

// proves: admin-return-below
t.test('a step-up returns to pages of the console alone', async (t) => {
  const { gateway } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const refused = [
    '/',
    '/adminx',
    '/oauth2/sign_out',
    '//evil.example/admin',
    'https://evil.example/admin',
    '/admin/../oauth2/sign_out',
    '/admin/step-up',
    '/admin/sign-out',
    '/admin/api/v1/me',
    'javascript:alert(1)',
  ]
  for (const rd of refused) {
    const answer = await gateway.ask(`/admin/step-up?rd=${encodeURIComponent(rd)}`, { browser })
    t.match({ status: answer.status, code: codeOf(answer) }, { status: 400, code: 'return_to_refused' }, rd)
  }
  t.equal((await gateway.ask('/admin/step-up?rd=%2Fadmin%2Fgroups', { browser })).status, 302)
})

// proves: admin-sign-out-form
t.test('signing out of the console needs its form, and leaves the applications', async (t) => {
  const { gateway, rows } = await start(t)
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const form = { _csrf: 'wrong' }
  t.equal(codeOf(await gateway.ask('/admin/sign-out', { browser, method: 'POST' })), 'form_refused')
  t.equal(codeOf(await browser.ask(`${gateway.url}/admin/sign-out`, { method: 'POST', form })), 'form_refused')
  t.ok(await opens(gateway, browser))
  const me = await gateway.ask('/admin/api/v1/me', { browser, headers: PROGRAM })
  const token = /"csrf_?[tT]oken":"([\w-]{43})"/.exec(me.text)?.[1] ?? ''
  const crossSite = { 'sec-fetch-site': 'cross-site' }
  const url = `${gateway.url}/admin/sign-out`
  t.equal(
    codeOf(await browser.ask(url, { method: 'POST', form: { _csrf: token }, headers: crossSite })),
    'form_refused',
  )
  const answer = await browser.ask(url, { method: 'POST', form: { _csrf: token } })
  t.equal(answer.status, 200)
  t.match(answer.text, `href="${gateway.url}/admin"`)
  t.equal(cookieOf(browser, 'admin'), undefined)
  t.same(await rows(sql`select 1 from admin_sessions`), [])
  t.equal((await gateway.ask('/oauth2/auth', { browser, headers: TARGET })).status, 200)
})

// proves: admin-sign-in-loop
t.test('a browser that keeps no cookie of the console is not sent to sign in forever', async (t) => {
  const { gateway } = await start(t)
  const browser = createBrowser()
  for (let round = 1; round <= 2; round++) {
    await signInToConsole(gateway, PERSON_IDS.staff, { browser })
    browser.cookies.get('127.0.0.1')?.delete('gatehouse_admin')
  }
  t.equal(codeOf(await gateway.ask('/admin/people', { browser })), 'sign_in_loop')
})

// proves: admin-networks-everything
t.test('outside of admin.networks there is nothing below /admin, and no admin session is made', async (t) => {
  const { gateway, rows } = await start(t, {
    config: { admin: { networks: ['10.0.0.0/8'] }, server: { trustedProxies: ['127.0.0.1'] } },
  })
  const inside = { 'x-forwarded-for': '10.1.2.3' }
  for (
    const path of [
      '/admin',
      '/admin/people',
      '/admin/step-up',
      '/admin/api/v1/me',
      '/admin/nothing',
      '/admin/assets/x.css',
    ]
  ) {
    t.equal((await gateway.ask(path, { headers: { 'x-forwarded-for': '192.0.2.1' } })).status, 404, path)
  }
  t.equal((await gateway.ask('/admin/people', { headers: inside })).status, 302)
  const browser = createBrowser()
  const sent = await browser.ask(`${gateway.url}/admin/people`, { headers: inside })
  await pickPerson(browser, await browser.follow(sent.location ?? ''), PERSON_IDS.staff)
  t.same(await rows(sql`select 1 from admin_sessions`), [], 'the callback came from outside')
})

t.test('without the section admin there is no console', async (t) => {
  const gateway = await startTestGateway(t)
  for (const path of ['/admin', '/admin/step-up', '/admin/api/v1/me']) {
    t.equal((await gateway.ask(path)).status, 404, path)
  }
})

t.test('another host of Gatehouse leads to publicUrl first', async (t) => {
  const { gateway } = await start(t)
  const { port } = new URL(gateway.url)
  const answer = await createBrowser().ask(`http://localhost:${port}/admin/people`, {
    headers: { host: `localhost:${port}` },
  })
  t.match({ status: answer.status, location: answer.location }, {
    status: 302,
    location: `${gateway.url}/admin/people`,
  })
})

t.test('the former session cookie is refused by every replica within a second', async (t) => {
  const { gateway } = await start(t)
  const two = await startTestGateway(t, {
    databaseUrl: gateway.databaseUrl,
    config: {
      admin: {},
      server: { publicUrl: gateway.url },
      entra: { authorityHost: gateway.entra.url, graphUrl: gateway.entra.graphUrl },
    },
  })
  const { browser } = await signInToConsole(gateway, PERSON_IDS.staff)
  const cookie = browser.cookieHeader(gateway.url)
  const ports = [gateway, two].map(({ config }) => config.server.port)
  const seen = async () =>
    await Promise.all(
      ports.map(async (port) =>
        (await fetch(`http://127.0.0.1:${port}/oauth2/auth`, { headers: { ...TARGET, cookie } })).status
      ),
    )
  t.same(await seen(), [200, 200], 'both have it in memory now')
  const page = await browser.follow(`${gateway.url}/admin/step-up`)
  await pickPerson(browser, page, PERSON_IDS.staff)
  await sleep(1_000)
  t.same(await seen(), [401, 401])
  const renewed = browser.cookieHeader(gateway.url)
  const elsewhere = await fetch(`http://127.0.0.1:${ports[1]}/oauth2/auth`, { headers: { ...TARGET, cookie: renewed } })
  t.equal(elsewhere.status, 200)
})
