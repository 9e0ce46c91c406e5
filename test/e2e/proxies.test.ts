// Real nginx with auth_request, real Caddy with forward_auth and real HAProxy with our Lua, on the very files that are shipped: nobody passes
// without signing in, identity headers arrive, forged ones do not, and our cookies stay with us.
import { writeFileSync } from 'node:fs'
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { freePorts, pickPerson, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { stopPostgres } from '../helpers/postgres.js'
import { folder, startCaddy, startHaproxy, startNginx } from '../helpers/proxies.js'
import { startUpstream, type Received } from '../helpers/upstream.js'

t.teardown(stopPostgres)

interface Site {
  readonly app: string
  readonly gateway: TestGateway
  /** What the application behind the proxy last received. */
  readonly received: Received[]
}

const PROXIES = [
  { name: 'nginx auth_request', start: startNginx },
  { name: 'Caddy forward_auth', start: startCaddy },
  { name: 'HAProxy with Lua', start: startHaproxy },
]

for (const { name, start } of PROXIES) {
  t.test(name, async (t) => {
    const site = await startSite(t, start)
    if (!site) return
    const { app, gateway, received } = site

    await t.test('a program that is not signed in gets 401, a page load is sent to sign in', async (t) => {
      const browser = createBrowser()
      t.equal((await browser.ask(`${app}/deep`, { headers: { accept: 'application/json' } })).status, 401)
      t.equal((await browser.ask(`${app}/deep`, { headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' } })).status, 401)
      const sent = await browser.ask(`${app}/deep`)
      t.equal(sent.status, 302)
      t.ok(sent.location?.startsWith(`${gateway.url}/oauth2/start?rd=`), 'to publicUrl, absolutely')
      t.equal(received.length, 0, 'nothing reached the application')
    })

    const browser = createBrowser()
    await t.test('after signing in the page that was asked for opens, query and all, with identity headers', async (t) => {
      const deep = `${app}/deep/page?a=1&b=two%20words&c=x%2Fy,z`
      const answer = await pickPerson(browser, await browser.follow(deep), PERSON_IDS.superuser)
      t.equal(answer.status, 200)
      if (answer.status !== 200) t.comment(answer.text, gateway.rawLog.filter((line) => !line.includes('"trace"')).slice(-5).join(''))
      t.equal(answer.trail.at(-1), deep)
      const { headers, url } = received.at(-1) ?? { headers: {}, url: '' }
      t.equal(url, '/deep/page?a=1&b=two%20words&c=x%2Fy,z')
      t.match(headers, { 'remote-user': 'sue.super@contoso.example', 'x-auth-request-groups': 'NetBox Superusers', 'x-auth-request-superuser': 'true', 'x-auth-request-staff': 'true' })
    })

    await t.test('a forged identity header never arrives, in whatever spelling, signed in or as somebody without groups', async (t) => {
      const nobody = (await gateway.signIn(PERSON_IDS.nobody)).browser
      for (const [who, groups] of [[browser, 'NetBox Superusers'], [nobody, '']] as const) {
        received.length = 0
        await who.ask(`${app}/forged`, { headers: FORGED })
        t.equal(received.length, 1)
        const { headers, raw } = received[0] ?? { headers: {} as IncomingHttpHeaders, raw: [] }
        t.notOk(raw.some((part) => part.includes('forged')), `no forged value among ${raw.filter((part) => part.includes('forged')).join()}`)
        t.equal(headers['x-auth-request-groups'] ?? '', groups)
        t.equal(headers['remote-groups'] ?? '', groups)
      }
    })

    await t.test('our cookies do not reach the application, others do', async (t) => {
      received.length = 0
      const ours = browser.cookieHeader(app)
      t.match(ours, /gatehouse_session=/)
      await fetchWithCookie(app, browser, `theme=dark; ${ours}; gatehouse_login=x; lang=en`)
      const names = (received[0]?.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('=')[0]).filter((name) => name !== '')
      t.same(names, ['theme', 'simulated_entra_session', 'lang'])
      t.notMatch(received[0]?.headers.cookie, /gatehouse/)
      await fetchWithCookie(app, browser, ours)
      t.notMatch(received[1]?.headers.cookie ?? '', /gatehouse/)
    })

    await t.test('a POST keeps its body, HEAD and odd methods pass, and the auth endpoints are closed from outside', async (t) => {
      received.length = 0
      const posted = await browser.ask(`${app}/form`, { method: 'POST', form: { a: 'b' } })
      t.equal(posted.text, 'POST /form a=b')
      t.equal((await browser.ask(`${app}/head`, { method: 'HEAD' })).status, 200)
      t.equal((await browser.ask(`${app}/thing`, { method: 'DELETE' })).status, 200)
      t.same(received.map((each) => each.method), ['POST', 'HEAD', 'DELETE'])
      for (const path of ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/ext-authz/x', '/oauth2/ext-authz']) t.equal((await browser.ask(`${gateway.url}${path}`)).status, 404)
      for (const path of CLOSED) t.equal(await rawStatus(gateway.url, path, { cookie: browser.cookieHeader(app) }), 404, path)
    })

    await t.test('the application is asked for what was judged: no other host, no path but one that begins with a slash', async (t) => {
      const cookie = browser.cookieHeader(app)
      received.length = 0
      t.equal(await rawStatus(app, `${app}/absolute?x=%20`, { cookie }), 200)
      t.equal(received.at(-1)?.url, '/absolute?x=%20')
      received.length = 0
      const { host } = new URL(app)
      for (const hosts of [`${host},evil.test`, `evil.test,${host}`]) await rawStatus(app, '/hosts', { cookie, host: hosts }) // each proxy says no in its own way
      await rawStatus(app, '*', { cookie }, 'OPTIONS')
      await rawStatus(app, host, { cookie }, 'CONNECT')
      t.same(received.map(({ method, url }) => `${method} ${url}`), [])
    })

    await t.test('30 KB of the application\'s own cookies are no obstacle, and 40 KB none to HAProxy', async (t) => {
      const other = Array.from({ length: name.startsWith('HAProxy') ? 11 : 8 }, (_, index) => `big${index}=${'x'.repeat(3_700)}`).join('; ')
      t.equal((await fetchWithCookie(app, browser, `${browser.cookieHeader(app)}; ${other}`)).status, 200)
    })

    await t.test('the signed assertion arrives, and is this application\'s', async (t) => {
      received.length = 0
      await browser.ask(`${app}/whoami`)
      const [claims = {}] = [decodeJwt(String(received[0]?.headers['x-gatehouse-assertion']))]
      t.match(claims, { iss: gateway.url, aud: '127.0.0.1', username: 'sue.super@contoso.example', is_superuser: true })
    })

    await t.test('a WebSocket opens for who is signed in, and for nobody else', async (t) => {
      t.equal(await handshake(app, browser.cookieHeader(app)), 101)
      t.equal(await handshake(app, ''), 401)
      t.equal(await echoed(app, browser.cookieHeader(app), 'through and back'), 'through and back')
    })

    await t.test('a refusal is Gatehouse\'s own page for a person and JSON for a program, with the rule', async (t) => {
      const { browser: guest } = await gateway.signIn(PERSON_IDS.guest)
      gateway.reload({ access: { default: 'deny', rules: [{ hosts: ['127.0.0.1'], paths: ['/open/**'], allow: 'anyone' }, { hosts: ['127.0.0.1'], paths: ['/guests/**'], allow: { groups: ['Read Only'] } }] } })
      received.length = 0
      const page = await guest.ask(`${app}/secret?x=1`)
      t.equal(page.status, 403)
      t.match(page.text, /gus\.guest@fabrikam\.example/)
      t.match(page.text, /access\.default/)
      t.match(page.headers.get('content-type'), /text\/html/)
      const json = await guest.ask(`${app}/secret`, { headers: { accept: 'application/json' } })
      t.equal(json.status, 403)
      t.match(JSON.parse(json.text), { error: 'not_allowed', rule: 'access.default', username: 'gus.guest@fabrikam.example' })
      t.equal(received.length, 0)
      t.equal((await guest.ask(`${app}/guests/x`)).status, 200)
      t.equal((await createBrowser().ask(`${app}/open/x`, { headers: FORGED })).status, 200, 'anyone passes where a rule says so')
      t.notOk(received.at(-1)?.raw.some((part) => part.includes('forged')), 'as nobody')
      for (const path of ['/open/../secret', '/open/%2e%2e/secret', '/open/..%2fsecret', '/open//../secret', '/open/%252e%252e/secret']) t.not(await rawStatus(app, path), 200, path)
      gateway.reload({})
    })

    await t.test('signed out is signed out: the old cookie opens nothing', async (t) => {
      const old = browser.cookieHeader(app)
      const answer = await browser.follow(`${gateway.url}/oauth2/sign_out?rd=${encodeURIComponent(`${app}/bye`)}`)
      t.notOk(browser.cookieHeader(app).includes('gatehouse_session='), answer.trail.join(' '))
      t.equal((await fetchWithCookie(app, createBrowser(), old, { accept: 'application/json' })).status, 401)
    })

    await t.test('where Gatehouse breaks off, talks nonsense or fails, nothing passes', async (t) => {
      for (const [answer, status] of BROKEN) {
        const broken = await startBroken(t, start, answer)
        if (!broken) return
        const answered = await rawStatus(broken.app, '/x', { cookie: browser.cookieHeader(app), accept: 'text/html' }).catch(() => 'no HTTP') // nginx hands nonsense on
        if (name.startsWith('HAProxy')) t.equal(answered, status)
        t.equal(broken.received.length, 0, `${answered} after ${JSON.stringify(answer)}`)
      }
    })

    await t.test('without Gatehouse nothing passes', async (t) => {
      const { browser: person } = await gateway.signIn(PERSON_IDS.superuser)
      t.equal((await person.ask(`${app}/x`)).status, 200)
      await gateway.close()
      received.length = 0
      for (const who of [person, createBrowser()]) t.ok((await who.ask(`${app}/x`)).status >= 500)
      t.equal(received.length, 0)
    })
  })
}

t.test('HAProxy lets nobody pass when its Lua fails or says nothing', async (t) => {
  const file = join(folder(t, 'lua'), 'gatehouse.lua')
  for (const code of ['error("failed")', 'txn.http:req_set_header("remote-user", "x"); error("failed late")', '']) {
    writeFileSync(file, `core.register_action("gatehouse", { "http-req" }, function(txn) ${code} end)`)
    const broken = await startBroken(t, (t, site) => startHaproxy(t, site, file), '')
    if (!broken) return
    t.equal(await rawStatus(broken.app, '/x'), 503)
    t.equal(broken.received.length, 0)
  }
})

/** Other spellings of the question, which Gatehouse might read as it. */
const CLOSED = ['/oauth2/%61uth', '/%6fauth2/forward-auth', '/oauth2/forward%2Dauth', '/oauth2/%65xt-authz/x', '/oauth2/ext%2dauthz/x', '/oauth2/auth?x', '/oauth2/auth/', '//oauth2/auth', '/oauth2//auth', '/OAUTH2/AUTH']

/** What a Gatehouse that is not itself may answer, and what HAProxy makes of it. */
const BROKEN = [
  ['', 503], ['nonsense\r\n\r\n', 503], ['HTTP/1.1 200 OK\r\nRemote-User: half', 503], ['HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', 503],
  ['HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', 500],
] as const

const FORGED = {
  'X-Auth-Request-User': 'forged', 'X-Auth-Request-Email': 'forged', 'X-Auth-Request-Groups': 'forged', 'X-Auth-Request-Superuser': 'forged',
  'X-Auth-Request-Preferred-Username': 'forged', 'X-Auth-Request-Staff': 'forged', 'X-Auth-Request-Redirect': 'forged',
  'X_Auth_Request_User': 'forged', 'x_auth_request_groups': 'forged', 'X-AUTH_REQUEST-USER': 'forged',
  'Remote-User': 'forged', 'REMOTE-GROUPS': 'forged', 'Remote_User': 'forged', 'remote_groups': 'forged', 'Remote-Name': 'forged', 'Remote-Email': 'forged',
  'X-Gatehouse-Assertion': 'forged', 'X_Gatehouse_Assertion': 'forged', 'X-Original-URL': 'forged', 'X-Original-Method': 'forged', 'X-Forwarded-Uri': 'forged', 'X-Forwarded-Method': 'forged', 'X_Forwarded_Host': 'forged', 'Forwarded': 'for=forged', 'X-Gatehouse-Error': 'forged', 'X-Unrelated': 'harmless',
  // CGI, WSGI, PHP and others read each of these characters as the hyphen that it is not.
  ...Object.fromEntries([...'!#$%&\'*+.^_`|~'].flatMap((odd) => [[`X${odd}Auth${odd}Request${odd}User`, 'forged'], [`X-Auth-Request${odd}Groups`, 'forged'], [`Remote${odd}User`, 'forged'], [`X-Gatehouse${odd}Assertion`, 'forged']])),
}

/** A path as it stands: a client of fetch's kind would tidy it up. */
function rawStatus(app: string, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
  const { hostname, port } = new URL(app)
  return new Promise((resolve, reject) => {
    const done = (response: IncomingMessage, socket?: Duplex) => { socket?.destroy(); response.resume(); resolve(response.statusCode ?? 0) }
    request({ hostname, port, path, headers, method, agent: false }, done).on('upgrade', done).on('connect', done).on('error', reject).end()
  })
}

const HANDSHAKE = { 'connection': 'Upgrade', 'upgrade': 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13', 'sec-fetch-mode': 'websocket' }

async function handshake(app: string, cookie: string): Promise<number> {
  return await rawStatus(app, '/socket', { ...HANDSHAKE, cookie })
}

/** What comes back of bytes sent after the handshake. */
function echoed(app: string, cookie: string, text: string): Promise<string> {
  const { hostname, port } = new URL(app)
  return new Promise((resolve, reject) => {
    request({ hostname, port, path: '/socket', headers: { ...HANDSHAKE, cookie }, agent: false })
      .on('upgrade', (_response, socket: Duplex, head) => {
        let back = head.toString()
        socket.on('data', (chunk: Buffer) => {
          back += chunk.toString()
          if (back.length < text.length) return
          socket.destroy()
          resolve(back)
        }).on('error', reject).write(text)
      })
      .on('response', (response) => reject(new Error(`no handshake but ${response.statusCode}`))).on('error', reject).end()
  })
}

/** A proxy before a Gatehouse that says this and closes. */
async function startBroken(t: Test, startProxy: typeof startNginx, answer: string): Promise<Pick<Site, 'app' | 'received'> | undefined> {
  const { received, port } = await startUpstream(t)
  const gateway = createServer((socket: Socket) => { socket.on('error', () => undefined).once('data', () => socket.end(answer)) })
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { gateway.close() })
  const [appPort = 0, authPort = 0] = await freePorts(2)
  const started = await startProxy(t, { app: `127.0.0.1:${appPort}`, auth: `127.0.0.1:${authPort}`, gateway: `127.0.0.1:${(gateway.address() as { port: number }).port}`, upstream: `127.0.0.1:${port}` })
  return started ? { app: `http://127.0.0.1:${appPort}`, received } : undefined
}

async function fetchWithCookie(app: string, browser: Browser, cookie: string, headers: Record<string, string> = {}) {
  return await browser.ask(`${app}/cookies`, { headers: { ...headers, cookie } })
}

async function startSite(t: Test, startProxy: typeof startNginx): Promise<Site | undefined> {
  const { received, port } = await startUpstream(t)
  const [appPort = 0, authPort = 0] = await freePorts(2)
  const publicUrl = `http://127.0.0.1:${authPort}`
  const gateway = await startTestGateway(t, { demoFile: { publicUrl } }) // the very file that the demo's compose file mounts
  const listening = (gateway.gateway.app.server.address() as { port: number }).port
  const started = await startProxy(t, { app: `127.0.0.1:${appPort}`, auth: `127.0.0.1:${authPort}`, gateway: `127.0.0.1:${listening}`, upstream: `127.0.0.1:${port}` })
  return started ? { app: `http://127.0.0.1:${appPort}`, gateway, received } : undefined
}
