// Who asks for something in the console, over real HTTP and a real database.
import { sql } from 'drizzle-orm'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import type { AdminPermission } from '../../../src/core/admin-permissions.js'
import { isAdminSessionId, newAdminSessionId } from '../../../src/core/admin-session.js'
import { GatehouseError } from '../../../src/core/errors.js'
import { newSessionId } from '../../../src/core/session.js'
import { createFormTokens, requireOwnForm } from '../../../src/http/admin/form-token.js'
import { createAdminGuard, createOutsideTest } from '../../../src/http/admin/guard.js'
import { createCookieSigner } from '../../../src/http/cookie-signer.js'
import { createAdminSessionStore } from '../../../src/store/admin-sessions.js'
import { sweep } from '../../../src/store/sweep.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { adminCookieOf, giveAdminSession, signedAdminId } from '../../helpers/admin.js'
import type { Browser } from '../../helpers/browser.js'
import { SESSION_SECRET, startTestGateway, type TestGateway } from '../../helpers/gateway.js'

interface Seen {
  readonly status: number
  readonly code: string | undefined
  readonly body: Record<string, unknown>
}

interface Scene {
  readonly gateway: TestGateway
  /** Asks the guard; `cookie` in place of the browser's. */
  ask(
    browser: Browser,
    options?: { permission?: AdminPermission, cookie?: string, method?: 'POST', headers?: Record<string, string> },
  ): Promise<Seen>
  readonly rows: <Row extends Record<string, unknown>>(statement: ReturnType<typeof sql>) => Promise<Row[]>
}

/** A server with one route behind the guard. */
async function start(t: Test, networks: readonly string[] = []): Promise<Scene> {
  const gateway = await startTestGateway(t, { config: { admin: {} } })
  const { database } = gateway.gateway
  const formTokens = createFormTokens([SESSION_SECRET])
  const guard = createAdminGuard({
    adminSessions: createAdminSessionStore(database, gateway.config.session),
    adminCookie: adminCookieOf(gateway.url),
    formTokens,
    isOutside: createOutsideTest(networks),
  })
  const app = fastify()
  app.setErrorHandler((error, _request, reply) =>
    error instanceof GatehouseError ? reply.code(error.status).send({ error: error.code }) : reply.send(error)
  )
  app.route({
    method: ['GET', 'POST'],
    url: '/who/:permission',
    async handler(request) {
      const { permission } = request.params as { permission: AdminPermission }
      const actor = await guard.authenticate(request, permission)
      const given = request.headers['x-csrf-token']
      if (request.method === 'POST') {
        requireOwnForm(request, actor, given as string | undefined, { publicUrl: gateway.url, formTokens })
      }
      return { ...actor, permissions: [...actor.permissions] }
    },
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  return {
    gateway,
    async ask(browser, { permission = 'gatehouse.read', cookie, method = 'GET', headers = {} } = {}) {
      const response = await fetch(`${url}/who/${permission}`, {
        method,
        headers: { cookie: cookie ?? browser.cookieHeader(gateway.url), connection: 'close', ...headers },
      })
      const body = await response.json() as Record<string, unknown>
      return { status: response.status, code: body.error as string | undefined, body }
    },
    rows: async (statement) => (await database.ask((db) => db.execute(statement))).rows as never,
  }
}

// proves: admin-permission
t.test('the guard says who asks, with the permissions of this moment', async (t) => {
  const { gateway, ask, rows } = await start(t)
  const { browser, sessionId } = await giveAdminSession(gateway, PERSON_IDS.staff)
  const { status, body } = await ask(browser)
  t.equal(status, 200)
  t.match(body, { sessionId, permissions: ['gatehouse.read'], csrfToken: /^[\w-]{43}$/ })
  t.ok(Math.abs(Number(body.authenticatedAt) - Date.now() / 1000) < 30)
  t.match(await ask(browser, { permission: 'gatehouse.sessions' }), { status: 403, code: 'not_allowed' })

  await rows(sql`insert into group_permissions (group_id, permission)
    select id, p from groups, unnest(array['gatehouse.sessions', 'gatehouse.unheard', 'netbox.view']) p
    where name = 'Network Engineers'`)
  t.same((await ask(browser, { permission: 'gatehouse.sessions' })).body.permissions, [
    'gatehouse.read',
    'gatehouse.sessions',
  ])
  await rows(sql`update users set is_superuser = true`)
  t.equal((await ask(browser, { permission: 'gatehouse.keys' })).status, 200, 'superusers have all of them')
})

// proves: admin-unknown-to-others
t.test('whoever loses the last permission between two requests finds nothing at once', async (t) => {
  const { gateway, ask, rows } = await start(t)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.staff)
  t.equal((await ask(browser)).status, 200)
  await rows(sql`update users set is_staff = false`)
  t.match(await ask(browser), { status: 404, code: 'not_found' })
})

t.test('the admin session ends with the session, at once', async (t) => {
  const { gateway, ask, rows } = await start(t)
  const ends: readonly (readonly [string, (sessionId: string, browser: Browser) => Promise<unknown>])[] = [
    ['signed out', (_, browser) => gateway.ask('/oauth2/sign_out', { browser, method: 'POST' })],
    ['revoked', (id) => rows(sql`delete from sessions where public_id = ${id}`)],
    ['idle', (id) => rows(sql`update sessions set last_seen_at = now() - interval '91 days' where public_id = ${id}`)],
    ['too old', (id) => rows(sql`update sessions set created_at = now() - interval '91 days' where public_id = ${id}`)],
    ['user inactive', () => rows(sql`update users set is_active = false`)],
  ]
  for (const [how, endIt] of ends) {
    const { browser, sessionId } = await giveAdminSession(gateway, PERSON_IDS.staff)
    const cookie = browser.cookieHeader(gateway.url)
    t.equal((await ask(browser, { cookie })).status, 200, `${how}: before`)
    await endIt(sessionId, browser)
    t.match(await ask(browser, { cookie }), { status: 401, code: 'admin_sign_in_required' }, how)
  }
})

// proves: admin-idle, admin-lifetime
t.test('an admin session ends 30 minutes after its last use, and 8 hours after it began', async (t) => {
  const { gateway, ask, rows } = await start(t)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.staff)
  await rows(sql`update admin_sessions set last_seen_at = now() - interval '29 minutes',
    created_at = now() - interval '7 hours 59 minutes'`)
  await rows(sql`update sessions set last_seen_at = now() - interval '20 minutes'`)
  t.equal((await ask(browser)).status, 200)
  const [used] = await rows<{ admin: boolean, session: boolean }>(sql`
    select (select max(last_seen_at) > now() - interval '10 seconds' from admin_sessions) as admin,
      (select max(last_seen_at) > now() - interval '10 seconds' from sessions) as session`)
  t.same(used, { admin: true, session: true }, 'the use counts for both')
  await rows(sql`update admin_sessions set last_seen_at = now() - interval '50 seconds'`)
  t.equal((await ask(browser)).status, 200)
  const [again] = await rows<{ noted: boolean }>(
    sql`select last_seen_at > now() - interval '40 seconds' as noted from admin_sessions`,
  )
  t.equal(again?.noted, false, 'once a minute')

  await rows(sql`update admin_sessions set created_at = now() - interval '8 hours 1 second'`)
  t.match(await ask(browser), { status: 401, code: 'admin_sign_in_required' })
  await rows(sql`update admin_sessions set created_at = now(), last_seen_at = now() - interval '30 minutes 1 second'`)
  t.match(await ask(browser), { status: 401, code: 'admin_sign_in_required' })
})

// proves: admin-cookie-signed, admin-id-apart
t.test('only one cookie of the console, signed here for this purpose, opens it', async (t) => {
  const { gateway, ask } = await start(t)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.staff)
  const jar = browser.cookies.get('127.0.0.1')
  const [admin = '', session = ''] = [jar?.get('gatehouse_admin'), jar?.get('gatehouse_session')]
  t.equal((await ask(browser, { cookie: `gatehouse_admin=${admin}` })).status, 200)
  const id = decodeURIComponent(admin).slice(0, 47)
  t.ok(isAdminSessionId(id))
  t.notOk(isAdminSessionId(newSessionId()))
  const refused: Readonly<Record<string, string>> = {
    'none': 'other=1',
    'the session cookie alone': `gatehouse_session=${session}`,
    'the session cookie under this name': `gatehouse_admin=${session}`,
    'unsigned': `gatehouse_admin=${id}`,
    'signed with another secret': `gatehouse_admin=${signedAdminId(id, 'another-secret-0123456789abcdefghij')}`,
    'signed, but unknown': `gatehouse_admin=${signedAdminId(newAdminSessionId())}`,
    'doubled': `gatehouse_admin=${admin}; gatehouse_admin=${admin}`,
    'doubled by a sibling host': `gatehouse_admin=x; gatehouse_admin=${admin}`,
    'with a name that only looks alike': `\u00a0gatehouse_admin=${admin}`.replace('\u00a0', 'x'),
    'undecodable': 'gatehouse_admin=%E0%A4%A',
    'very long': `gatehouse_admin=${'a'.repeat(9_000)}`,
  }
  for (const [name, cookie] of Object.entries(refused)) {
    t.match(await ask(browser, { cookie }), { status: 401, code: 'admin_sign_in_required' }, name)
  }
  const elsewhere = async (cookie: string) =>
    (await fetch(`${gateway.url}/oauth2/userinfo`, { headers: { cookie } })).status
  t.equal(await elsewhere(`gatehouse_session=${session}`), 200)
  t.equal(await elsewhere(`gatehouse_session=${admin}`), 401, 'the admin cookie opens nothing elsewhere')
  t.equal(await elsewhere(`gatehouse_admin=${admin}`), 401)
  t.ok(createCookieSigner([SESSION_SECRET]).unsign(decodeURIComponent(admin)).valid)
})

// proves: admin-networks
t.test('clients outside of admin.networks find nothing', async (t) => {
  const { gateway, ask } = await start(t, ['10.0.0.0/8'])
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.superuser)
  t.match(await ask(browser), { status: 404, code: 'not_found' })
  const inside = await start(t, ['10.0.0.0/8', 'loopback'])
  const other = await giveAdminSession(inside.gateway, PERSON_IDS.superuser)
  t.equal((await inside.ask(other.browser)).status, 200)
})

// proves: admin-form-token, admin-form-origin
t.test('an unsafe request must come from this origin, with the token of this admin session', async (t) => {
  const { gateway, ask } = await start(t)
  const { browser } = await giveAdminSession(gateway, PERSON_IDS.staff)
  const token = String((await ask(browser)).body.csrfToken)
  const other = await giveAdminSession(gateway, PERSON_IDS.superuser)
  const othersToken = String((await ask(other.browser)).body.csrfToken)
  t.not(token, othersToken)
  const post = async (headers: Record<string, string>) => {
    const { status, code } = await ask(browser, { method: 'POST', headers })
    return code ?? status
  }
  const own = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': token }
  t.equal(await post(own), 200)
  t.equal(await post({ 'origin': gateway.url, 'x-csrf-token': token }), 200, 'an older browser')
  for (const site of ['same-site', 'cross-site', 'none', '']) {
    t.equal(await post({ ...own, 'sec-fetch-site': site, 'origin': gateway.url }), 'form_refused', site)
  }
  for (const origin of ['https://evil.example', 'null', `${gateway.url}.evil.example`]) {
    t.equal(await post({ origin, 'x-csrf-token': token }), 'form_refused', origin)
  }
  t.equal(await post({ 'x-csrf-token': token }), 'form_refused', 'neither header')
  t.equal(await post({ 'sec-fetch-site': 'same-origin' }), 'form_refused', 'no token')
  for (const given of ['', othersToken, token.slice(1), createFormTokens(['x'.repeat(32)]).of('x')]) {
    t.equal(await post({ ...own, 'x-csrf-token': given }), 'form_refused', given)
  }
})

t.test('form tokens of an older secret are good during a rotation', async (t) => {
  const [older, newer] = [createFormTokens(['old'.repeat(12)]), createFormTokens(['new'.repeat(12), 'old'.repeat(12)])]
  t.ok(newer.matches(older.of('a'), 'a'))
  t.notOk(newer.matches(older.of('a'), 'b'))
  t.notOk(older.matches(newer.of('a'), 'a'))
})

// proves: admin-renewed, admin-renewed-session
t.test('a new id replaces the one before, of the same session alone', async (t) => {
  const { gateway, ask, rows } = await start(t)
  const { browser, sessionId } = await giveAdminSession(gateway, PERSON_IDS.staff)
  const other = await giveAdminSession(gateway, PERSON_IDS.superuser)
  const store = createAdminSessionStore(gateway.gateway.database, gateway.config.session)
  const before = (await ask(browser)).body
  await rows(sql`update admin_sessions set created_at = now() - interval '1 hour' where session_id = ${sessionId}`)
  const [{ hash } = { hash: Buffer.from('') }] = await rows<{ hash: Buffer }>(
    sql`select id_hash as hash from admin_sessions where session_id = ${sessionId}`,
  )
  const cookieOf = (id: string) => `gatehouse_admin=${signedAdminId(id)}`

  const stolen = newAdminSessionId()
  await store.begin({ id: stolen, sessionId: other.sessionId, replaces: hash })
  t.equal((await ask(browser)).status, 200, 'the session of somebody else does not replace it')

  const id = newAdminSessionId()
  t.equal(await store.begin({ id, sessionId, replaces: hash }), true)
  t.match(await ask(browser), { status: 401 }, 'the former cookie opens nothing')
  const after = await ask(browser, { cookie: cookieOf(id) })
  t.match(after.body, { adminSessionId: before.adminSessionId, csrfToken: before.csrfToken })
  const [{ old } = { old: false }] = await rows<{ old: boolean }>(
    sql`select created_at < now() - interval '59 minutes' as old from admin_sessions where session_id = ${sessionId}`,
  )
  t.ok(old, 'and its end does not move')

  const tab = newAdminSessionId()
  t.equal(await store.begin({ id: tab, sessionId, replaces: hash }), true, 'a tab that began with the former id')
  t.equal((await ask(browser, { cookie: cookieOf(tab) })).status, 200)
  t.equal((await ask(browser, { cookie: cookieOf(id) })).status, 200)

  await store.end(sessionId, 'c0ffee')
  for (const each of [id, tab]) t.equal((await ask(browser, { cookie: cookieOf(each) })).status, 401)
  t.equal((await ask(other.browser)).status, 200)
  t.match(await rows(sql`select action, username from audit_events where action = 'admin.sign_out'`), [{}])

  await rows(sql`delete from sessions where public_id = ${sessionId}`)
  t.equal(await store.begin({ id: newAdminSessionId(), sessionId, replaces: undefined }), false, 'it has ended')
  await rows(sql`update sessions set authenticated_at = null`)
  t.equal(await store.begin({ id: newAdminSessionId(), sessionId: other.sessionId, replaces: undefined }), false)
})

// proves: admin-swept
t.test('admin sessions that are over are swept', async (t) => {
  const { gateway, rows } = await start(t)
  const { database } = gateway.gateway
  await giveAdminSession(gateway, PERSON_IDS.staff)
  await rows(sql`insert into admin_sessions (id_hash, session_id, created_at, last_seen_at, authenticated_at)
    select sha256(s.public_id::bytea || n::text::bytea), case n when 1 then 'gone' else s.public_id end,
      now() - case n when 2 then interval '9 hours' else interval '0' end,
      now() - case n when 3 then interval '31 minutes' else interval '0' end, now()
    from sessions s, generate_series(1, 3) n`)
  await sweep(database, {
    ...gateway.config.session,
    retentionMs: 86_400_000,
    isClockConfirmed: true,
    isExported: false,
  })
  t.same(await rows(sql`select count(*)::int as left from admin_sessions`), [{ left: 1 }])
})
