// Real nginx with auth_request, Caddy with forward_auth, HAProxy with our Lua, Traefik with forwardAuth and Envoy with
// ext_authz, on the very files that are shipped: nobody passes without signing in, identity headers arrive, forged ones
// do not, and our cookies stay with us. nginx, Caddy and HAProxy over http, Traefik and Envoy over TLS.
import { writeFileSync } from 'node:fs'
import { request as requestHttp, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { freePorts, pickPerson, startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { folder, startCaddy, startHaproxy, startNginx, type Site as Addresses } from '../helpers/proxies.js'
import { PROXIES as OVER_TLS, startProxy } from '../helpers/proxies-all.js'
import { APP, browserAt, identityFiles, listeningOn, startScene } from '../helpers/proxies-scene.js'
import { startUpstream, type Received } from '../helpers/upstream.js'

interface Site {
  readonly app: string
  /** Where the proxy listens over TLS, for every host; undefined over http, where `app` has the address. */
  readonly address?: string
  readonly gateway: TestGateway
  /** What the application behind the proxy last received. */
  readonly received: Received[]
}

/** Starts a proxy: with a gateway and everything, or before this very address. */
interface Kind {
  readonly name: string
  site(t: Test): Promise<Site | undefined>
  before(t: Test, gateway: string): Promise<Omit<Site, 'gateway'> | undefined>
}

type StartHttp = (t: Test, addresses: Addresses) => Promise<boolean>

const overHttp = (name: string, start: StartHttp): Kind => ({
  name,
  site: async (t) => await startSite(t, start),
  before: async (t, gateway) => await startBefore(t, start, gateway),
})

const overTls = (name: string, title: string): Kind => {
  const proxy = OVER_TLS.find((each) => each.name === name)
  if (proxy === undefined) throw new Error(name)
  return {
    name: title,
    async site(t) {
      const scene = await startScene(t, { config: { server: { redirectDomains: ['.example.com', '127.0.0.1:*'] } } })
      const started = await startProxy(t, proxy, { ...scene, gateway: listeningOn(scene.gateway) })
      return started && { ...scene, app: `https://${APP}`, address: started.address }
    },
    async before(t, gateway) {
      const { received, port } = await startUpstream(t)
      const started = await startProxy(t, proxy, { gateway, upstream: `127.0.0.1:${port}`, tls: identityFiles(t) })
      return started && { received, app: `https://${APP}`, address: started.address }
    },
  }
}

const PROXIES: readonly Kind[] = [
  overHttp('nginx auth_request', async (t, addresses) => await startNginx(t, addresses)),
  overHttp('Caddy forward_auth', async (t, addresses) => await startCaddy(t, addresses)),
  overHttp('HAProxy with Lua', async (t, addresses) => await startHaproxy(t, addresses)),
  overHttp('nginx 1.31 auth_request', async (t, addresses) => await startNginx(t, addresses, 'newest')),
  overHttp('Caddy 2.11 forward_auth', async (t, addresses) => await startCaddy(t, addresses, 'newest')),
  overTls('Traefik 3.7', 'Traefik forwardAuth'),
  overTls('Traefik 3.7, labels', 'Traefik forwardAuth by labels'),
  overTls('Envoy 1.40', 'Envoy ext_authz'),
]

for (const proxy of PROXIES) {
  const { name } = proxy
  t.test(name, async (t) => {
    const site = await proxy.site(t)
    if (!site) return
    const { app, gateway, received } = site
    const newBrowser = () => site.address === undefined ? createBrowser() : browserAt(site.address)
    const rawStatus = async (origin: string, ...rest: RawRest) => await rawStatusAt(site, origin, ...rest)
    const fetchWithCookie = async (who: Browser, cookie: string, headers: Record<string, string> = {}) =>
      await who.ask(`${app}/cookies`, { headers: { ...headers, cookie } })
    const signIn = async (person: string) => await gateway.signIn(person, { browser: newBrowser() })

    await t.test('a program without a session gets 401, a page load is redirected to the sign-in', async (t) => {
      const browser = newBrowser()
      t.equal((await browser.ask(`${app}/deep`, { headers: { accept: 'application/json' } })).status, 401)
      t.equal(
        (await browser.ask(`${app}/deep`, { headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' } })).status,
        401,
      )
      const sent = await browser.ask(`${app}/deep`)
      t.equal(sent.status, 302)
      t.ok(sent.location?.startsWith(`${gateway.url}/oauth2/start?rd=`), 'to publicUrl, absolutely')
      t.equal(received.length, 0, 'nothing reached the application')
    })

    const browser = newBrowser()
    await t.test('after the sign-in the requested page opens with its query and identity headers', async (t) => {
      const deep = `${app}/deep/page?a=1&b=two%20words&c=x%2Fy,z`
      const answer = await pickPerson(browser, await browser.follow(deep), PERSON_IDS.superuser)
      t.equal(answer.status, 200)
      if (answer.status !== 200) {
        t.comment(
          answer.text,
          gateway.rawLog.filter((line) => !line.includes('"trace"')).slice(-5).join(''),
        )
      }
      t.equal(answer.trail.at(-1), deep)
      const { headers, url } = received.at(-1) ?? { headers: {}, url: '' }
      t.equal(url, '/deep/page?a=1&b=two%20words&c=x%2Fy,z')
      t.match(headers, {
        'remote-user': 'sue.super@contoso.example',
        'x-auth-request-groups': 'NetBox Superusers',
        'x-auth-request-superuser': 'true',
        'x-auth-request-staff': 'true',
      })
    })

    await t.test('a forged identity header never reaches the application, in any spelling or session', async (t) => {
      const nobody = (await signIn(PERSON_IDS.nobody)).browser
      for (const [who, groups] of [[browser, 'NetBox Superusers'], [nobody, '']] as const) {
        received.length = 0
        await who.ask(`${app}/forged`, { headers: FORGED })
        t.equal(received.length, 1)
        const { headers, raw } = received[0] ?? { headers: {} as IncomingHttpHeaders, raw: [] }
        t.notOk(
          raw.some((part) => part.includes('forged')),
          `no forged value among ${raw.filter((part) => part.includes('forged')).join()}`,
        )
        t.equal(headers['x-auth-request-groups'] ?? '', groups)
        t.equal(headers['remote-groups'] ?? '', groups)
      }
    })

    await t.test('our cookies do not reach the application, others do', async (t) => {
      received.length = 0
      const ours = browser.cookieHeader(app)
      t.match(ours, /gatehouse_session=/)
      await fetchWithCookie(browser, `theme=dark; ${ours}; gatehouse_login=x; lang=en`)
      const names = (received[0]?.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('=')[0]).filter((
        name,
      ) => name !== '')
      if (name.startsWith('Traefik')) { // cannot take single cookies away: its file says so
        t.same(names, ['theme', '__Secure-gatehouse_session', 'gatehouse_login', 'lang'])
        return
      }
      t.same(names, ['theme', ...(site.address === undefined ? ['simulated_entra_session'] : []), 'lang'])
      t.notMatch(received[0]?.headers.cookie, /gatehouse/)
      await fetchWithCookie(browser, ours)
      t.notMatch(received[1]?.headers.cookie ?? '', /gatehouse/)
    })

    await t.test('a POST keeps its body, HEAD and rare methods pass, auth endpoints are not exposed', async (t) => {
      received.length = 0
      const posted = await browser.ask(`${app}/form`, { method: 'POST', form: { a: 'b' } })
      t.equal(posted.text, 'POST /form a=b')
      t.equal((await browser.ask(`${app}/head`, { method: 'HEAD' })).status, 200)
      t.equal((await browser.ask(`${app}/thing`, { method: 'DELETE' })).status, 200)
      t.same(received.map((each) => each.method), ['POST', 'HEAD', 'DELETE'])
      for (const path of ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/ext-authz/x', '/oauth2/ext-authz']) {
        t.equal((await browser.ask(`${gateway.url}${path}`)).status, 404)
      }
      for (const path of CLOSED) {
        t.equal(await rawStatus(gateway.url, path, { cookie: browser.cookieHeader(app) }), 404, path)
      }
    })

    await t.test('the application gets the authorised host and path; a path begins with a slash', async (t) => {
      const cookie = browser.cookieHeader(app)
      received.length = 0
      t.equal(await rawStatus(app, `${app}/absolute?x=%20`, { cookie }), 200)
      t.equal(received.at(-1)?.url, '/absolute?x=%20')
      received.length = 0
      const { host } = new URL(app)
      for (const hosts of [`${host},evil.test`, `evil.test,${host}`]) {
        await rawStatus(app, '/hosts', { cookie, host: hosts })
      } // each proxy says no in its own way
      await rawStatus(app, '*', { cookie }, 'OPTIONS')
      await rawStatus(app, host, { cookie }, 'CONNECT')
      t.same(received.map(({ method, url }) => `${method} ${url}`), [])
    })

    await t.test("30 KB of the application's own cookies pass, and 40 KB pass HAProxy", async (t) => {
      const other = Array.from(
        { length: name.startsWith('HAProxy') ? 11 : 8 },
        (_, index) => `big${index}=${'x'.repeat(3_700)}`,
      ).join('; ')
      t.equal((await fetchWithCookie(browser, `${browser.cookieHeader(app)}; ${other}`)).status, 200)
    })

    await t.test('the signed assertion arrives and is issued for this application', async (t) => {
      received.length = 0
      await browser.ask(`${app}/whoami`)
      const [claims = {}] = [decodeJwt(String(received[0]?.headers['x-gatehouse-assertion']))]
      t.match(claims, {
        iss: gateway.url,
        aud: new URL(app).hostname,
        username: 'sue.super@contoso.example',
        is_superuser: true,
      })
    })

    await t.test('a WebSocket opens only with a session', async (t) => {
      t.equal(await handshake(site, browser.cookieHeader(app)), 101)
      t.equal(await handshake(site, ''), 401)
      t.equal(await echoed(site, browser.cookieHeader(app), 'through and back'), 'through and back')
    })

    await t.test("a refusal is Gatehouse's page for a person and JSON for a program, with the rule", async (t) => {
      const { browser: guest } = await signIn(PERSON_IDS.guest)
      gateway.reload({
        access: {
          default: 'deny',
          rules: [{ hosts: [new URL(app).hostname], paths: ['/open/**'], allow: 'anyone' }, {
            hosts: [new URL(app).hostname],
            paths: ['/guests/**'],
            allow: { groups: ['Read Only'] },
          }],
        },
      })
      received.length = 0
      const page = await guest.ask(`${app}/secret?x=1`)
      t.equal(page.status, 403)
      t.match(page.text, /gus\.guest@fabrikam\.example/)
      t.match(page.text, /access\.default/)
      t.match(page.headers.get('content-type'), /text\/html/)
      const json = await guest.ask(`${app}/secret`, { headers: { accept: 'application/json' } })
      t.equal(json.status, 403)
      t.match(JSON.parse(json.text), {
        error: 'not_allowed',
        rule: 'access.default',
        username: 'gus.guest@fabrikam.example',
      })
      t.equal(received.length, 0)
      t.equal((await guest.ask(`${app}/guests/x`)).status, 200)
      t.equal(
        (await newBrowser().ask(`${app}/open/x`, { headers: FORGED })).status,
        200,
        'anyone passes where a rule says so',
      )
      t.notOk(received.at(-1)?.raw.some((part) => part.includes('forged')), 'as nobody')
      for (const up of ['/../', '/%2e%2e/', '/..%2f', '//../', '/%252e%252e/']) {
        const path = `/open${up}secret`
        received.length = 0
        // Envoy resolves dot segments itself; /open//../secret is /open/secret then (RFC 3986 section 5.2.4).
        const resolved = name.startsWith('Envoy') && up === '//../'
        t.equal(await rawStatus(app, path) === 200, resolved, path)
        t.same(received.map(({ url }) => url), resolved ? ['/open/secret'] : [], path)
      }
      gateway.reload({})
    })

    await t.test('after a sign-out the old cookie is refused', async (t) => {
      const old = browser.cookieHeader(app)
      const answer = await browser.follow(`${gateway.url}/oauth2/sign_out?rd=${encodeURIComponent(`${app}/bye`)}`)
      t.notOk(browser.cookieHeader(app).includes('gatehouse_session='), answer.trail.join(' '))
      t.equal((await fetchWithCookie(newBrowser(), old, { accept: 'application/json' })).status, 401)
    })

    await t.test('if Gatehouse disconnects, answers invalidly or fails, every request is refused', async (t) => {
      for (const [answer, status] of BROKEN) {
        const broken = await startBroken(t, proxy, answer)
        if (!broken) return
        const answered = await rawStatusAt(broken, broken.app, '/x', {
          cookie: browser.cookieHeader(app),
          accept: 'text/html',
        }).catch(() => 'no HTTP') // nginx hands nonsense on
        if (name.startsWith('HAProxy')) t.equal(answered, status)
        t.equal(broken.received.length, 0, `${answered} after ${JSON.stringify(answer)}`)
      }
    })

    await t.test('without Gatehouse every request is refused', async (t) => {
      const { browser: person } = await signIn(PERSON_IDS.superuser)
      t.equal((await person.ask(`${app}/x`)).status, 200)
      await gateway.close()
      received.length = 0
      for (const who of [person, newBrowser()]) t.ok((await who.ask(`${app}/x`)).status >= 500)
      t.equal(received.length, 0)
    })
  })
}

t.test('HAProxy refuses every request if its Lua script fails or returns nothing', async (t) => {
  const file = join(folder(t, 'lua'), 'gatehouse.lua')
  for (const code of ['error("failed")', 'txn.http:req_set_header("remote-user", "x"); error("failed late")', '']) {
    writeFileSync(file, `core.register_action("gatehouse", { "http-req" }, function(txn) ${code} end)`)
    const broken = await startBroken(t, overHttp('', async (t, site) => await startHaproxy(t, site, file)), '')
    if (!broken) return
    t.equal(await rawStatusAt(broken, broken.app, '/x'), 503)
    t.equal(broken.received.length, 0)
  }
})

/** Other spellings of the question, which Gatehouse might read as it. */
const CLOSED = [
  '/oauth2/%61uth',
  '/%6fauth2/forward-auth',
  '/oauth2/forward%2Dauth',
  '/oauth2/%65xt-authz/x',
  '/oauth2/ext%2dauthz/x',
  '/oauth2/auth?x',
  '/oauth2/auth/',
  '//oauth2/auth',
  '/oauth2//auth',
  '/OAUTH2/AUTH',
]

/** What a Gatehouse that is not itself may answer, and what HAProxy makes of it. */
const BROKEN = [
  ['', 503],
  ['nonsense\r\n\r\n', 503],
  ['HTTP/1.1 200 OK\r\nRemote-User: half', 503],
  ['HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', 503],
  ['HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', 500],
] as const

const FORGED = {
  'X-Auth-Request-User': 'forged',
  'X-Auth-Request-Email': 'forged',
  'X-Auth-Request-Groups': 'forged',
  'X-Auth-Request-Superuser': 'forged',
  'X-Auth-Request-Preferred-Username': 'forged',
  'X-Auth-Request-Staff': 'forged',
  'X-Auth-Request-Redirect': 'forged',
  'X_Auth_Request_User': 'forged',
  'x_auth_request_groups': 'forged',
  'X-AUTH_REQUEST-USER': 'forged',
  'Remote-User': 'forged',
  'REMOTE-GROUPS': 'forged',
  'Remote_User': 'forged',
  'remote_groups': 'forged',
  'Remote-Name': 'forged',
  'Remote-Email': 'forged',
  'X-Gatehouse-Assertion': 'forged',
  'X_Gatehouse_Assertion': 'forged',
  'X-Original-URL': 'forged',
  'X-Original-Method': 'forged',
  'X-Forwarded-Uri': 'forged',
  'X-Forwarded-Method': 'forged',
  'X_Forwarded_Host': 'forged',
  'Forwarded': 'for=forged',
  'X-Gatehouse-Error': 'forged',
  'X-Unrelated': 'harmless',
  // CGI, WSGI, PHP and others read each of these characters as the hyphen that it is not.
  ...Object.fromEntries(
    [..."!#$%&'*+.^_`|~"].flatMap((
      odd,
    ) => [[`X${odd}Auth${odd}Request${odd}User`, 'forged'], [`X-Auth-Request${odd}Groups`, 'forged'], [
      `Remote${odd}User`,
      'forged',
    ], [`X-Gatehouse${odd}Assertion`, 'forged']]),
  ),
}

type Reached = Pick<Site, 'app' | 'address'>
type RawRest = [path: string, headers?: Record<string, string>, method?: string]

/** Where and how to ask for an origin: over TLS every host is at the proxy's address. */
function ask({ address }: Reached, origin: string, options: RequestOptions, done: (response: IncomingMessage) => void) {
  const { hostname, port, host } = new URL(origin)
  if (address === undefined) return requestHttp({ hostname, port, agent: false, ...options }, done)
  const headers = { host, ...options.headers as Record<string, string> }
  const tls = { servername: hostname, rejectUnauthorized: false }
  return requestHttps({ hostname: address, port: 443, agent: false, ...tls, ...options, headers }, done)
}

/** A path as it stands: a client of fetch's kind would tidy it up. */
function rawStatusAt(site: Reached, origin: string, ...[path, headers = {}, method = 'GET']: RawRest): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (response: IncomingMessage, socket?: Duplex) => {
      socket?.destroy()
      response.resume()
      resolve(response.statusCode ?? 0)
    }
    ask(site, origin, { path, headers, method }, done).on('upgrade', done).on('connect', done).on('error', reject).end()
  })
}

const HANDSHAKE = {
  'connection': 'Upgrade',
  'upgrade': 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
  'sec-fetch-mode': 'websocket',
}

async function handshake(site: Reached, cookie: string): Promise<number> {
  return await rawStatusAt(site, site.app, '/socket', { ...HANDSHAKE, cookie })
}

/** What comes back of bytes sent after the handshake. */
function echoed(site: Reached, cookie: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const refused = (response: IncomingMessage) => reject(new Error(`no handshake but ${response.statusCode}`))
    ask(site, site.app, { path: '/socket', headers: { ...HANDSHAKE, cookie } }, refused)
      .on('upgrade', (_response, socket: Duplex, head) => {
        let back = head.toString()
        socket.on('data', (chunk: Buffer) => {
          back += chunk.toString()
          if (back.length < text.length) return
          socket.destroy()
          resolve(back)
        }).on('error', reject).write(text)
      })
      .on('error', reject).end()
  })
}

/** A proxy before a Gatehouse that says this and closes. */
async function startBroken(t: Test, proxy: Kind, answer: string): Promise<Omit<Site, 'gateway'> | undefined> {
  const gateway = createServer((socket: Socket) => {
    socket.on('error', () => undefined).once('data', () => socket.end(answer))
  })
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    gateway.close()
  })
  return await proxy.before(t, `127.0.0.1:${(gateway.address() as { port: number }).port}`)
}

async function startBefore(t: Test, start: StartHttp, gateway: string): Promise<Omit<Site, 'gateway'> | undefined> {
  const { received, port } = await startUpstream(t)
  const [appPort = 0, authPort = 0] = await freePorts(2)
  const addresses = {
    app: `127.0.0.1:${appPort}`,
    auth: `127.0.0.1:${authPort}`,
    gateway,
    upstream: `127.0.0.1:${port}`,
  }
  return await start(t, addresses) ? { app: `http://127.0.0.1:${appPort}`, received } : undefined
}

async function startSite(t: Test, start: StartHttp): Promise<Site | undefined> {
  const { received, port } = await startUpstream(t)
  const [appPort = 0, authPort = 0] = await freePorts(2)
  // The very file that the demo's compose file mounts.
  const gateway = await startTestGateway(t, { demoFile: { publicUrl: `http://127.0.0.1:${authPort}` } })
  const listening = (gateway.gateway.app.server.address() as { port: number }).port
  const [app, auth] = [`127.0.0.1:${appPort}`, `127.0.0.1:${authPort}`]
  const started = await start(t, { app, auth, gateway: `127.0.0.1:${listening}`, upstream: `127.0.0.1:${port}` })
  return started ? { app: `http://${app}`, gateway, received } : undefined
}
