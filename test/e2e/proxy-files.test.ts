// The shipped files on the real programs, before a Gatehouse that lets everybody pass: what a client could do to a
// request that was allowed, and what a proxy makes of Gatehouse's other answers. The matrix has every proxy and every
// way; here is one test for each line of a file that holds something.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { IDENTITY } from '../../scripts/proxy-headers.mjs'
import { PROXIES, startProxy, type StartedProxy } from '../helpers/proxies-all.js'
import { APP, AUTH, identityFiles } from '../helpers/proxies-scene.js'
import { askRaw, type RawAnswer } from '../helpers/raw-http.js'
import { valuesOf } from '../helpers/raw-answer.js'
import { startUpstream, type Received } from '../helpers/upstream.js'

const WEBSOCKET = ['Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']

interface Asked {
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

interface Site {
  readonly name: string
  readonly started: StartedProxy
  /** What reached the application, and what reached Gatehouse. */
  readonly received: Received[]
  readonly asked: Asked[]
}

const named = (...beginnings: string[]) =>
  PROXIES.filter(({ name, file }) =>
    file !== 'ingress-nginx.yaml' && beginnings.some((beginning) => name.startsWith(beginning))
  )

// proves: adv-caddy-connection
t.test('a Connection header removes no identity header, and a WebSocket still opens', async (t) => {
  for (const site of await sites(t, 'nginx', 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    for (const connection of [`close, ${IDENTITY.join(', ')}`, 'Remote-User, close']) {
      await get(site, '/x', [`Connection: ${connection}`])
      if (site.name.startsWith('Envoy') && site.received.length === 0) continue // it refuses so many names with 400
      const headers = site.received.at(-1)?.headers
      for (const name of IDENTITY) t.equal(headers?.[name.toLowerCase()], 'given', `${site.name}: ${name}`)
      t.notMatch(headers?.connection ?? '', /remote/i, `${site.name}: nothing that the next hop would remove`)
    }
    for (const connection of ['Upgrade', `Upgrade, ${IDENTITY.join(', ')}`]) {
      const { status } = await get(site, '/x', [`Connection: ${connection}`, ...WEBSOCKET])
      t.equal(status, 101, site.name)
      t.notMatch(site.received.at(-1)?.headers.connection ?? '', /remote/i, site.name)
      t.equal(site.received.at(-1)?.headers['remote-user'], 'given', site.name)
    }
  }
})

// proves: adv-haproxy-upgrade
t.test('no upgrade but a WebSocket reaches the application', async (t) => {
  for (const site of await sites(t, 'nginx', 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    for (const upgrade of [['h2c'], ['TLS/1.2'], ['h2c', 'websocket']]) {
      site.received.length = 0
      const lines = ['Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAAQAAP__']
      await get(site, '/x', [...lines, ...upgrade.map((each) => `Upgrade: ${each}`)])
      for (const { headers } of site.received) {
        t.match(headers.upgrade ?? '', /^(websocket)?$/, `${site.name}: ${upgrade.join()}`)
      }
    }
  }
})

// proves: adv-caddy-header-size
t.test("60 KB of the application's own cookies pass", async (t) => {
  const cookie = Array.from({ length: 30 }, (_, index) => `c${index}=${'x'.repeat(2_000)}`).join('; ')
  for (const site of await sites(t, 'nginx', 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    t.equal((await get(site, '/x', [`Cookie: ${cookie}`, 'Connection: close'])).status, 200, site.name)
  }
})

// proves: adv-caddy-empty-cookie
t.test("if a request has only Gatehouse's cookies, the application gets no Cookie header", async (t) => {
  for (const site of await sites(t, 'nginx', 'Caddy', 'HAProxy', 'Envoy')) {
    await get(site, '/x', ['Cookie: __Secure-gatehouse_session=s; __Host-gatehouse_login=l', 'Connection: close'])
    t.notOk('cookie' in (site.received.at(-1)?.headers ?? {}), site.name)
    await get(site, '/x', ['Cookie: a=1; __Secure-gatehouse_session=s; b=2', 'Connection: close'])
    t.equal(site.received.at(-1)?.headers.cookie, 'a=1; b=2', site.name)
  }
})

// proves: adv-traefik-port
t.test('every authorisation request has the port of the site, whatever Host the client sends', async (t) => {
  for (const site of await sites(t, 'nginx', 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    for (const host of [APP, `${APP}:1`]) await get(site, '/x', ['X-Forwarded-Port: 1', 'Connection: close'], host)
    t.ok(site.asked.length > 0, site.name)
    for (const { headers } of site.asked) t.equal(headers['x-forwarded-port'], '443', site.name)
    for (const { headers } of site.received) t.equal(headers['x-forwarded-port'], '443', site.name)
  }
})

// proves: adv-caddy-question-closed
t.test('the pages: the authorisation endpoint and its headers are closed from outside', async (t) => {
  for (const site of await sites(t, 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    const page = async (path: string): Promise<number> => {
      const headers = [`Host: ${AUTH}`, ...ASKING, 'Connection: close']
      return (await askRaw(site.started.auth, { line: `GET ${path} HTTP/1.1`, headers })).status
    }
    for (const path of CLOSED) {
      site.asked.length = 0
      const status = await page(path)
      const asked = site.asked.map(({ url }) => url)
      t.strictSame(asked.filter((url) => QUESTION.test(url)), [], `${site.name}: ${path}`)
      t.ok(status === 404 || status === 400 || asked.length === 1, `${site.name}: ${path}: ${status}`)
    }
    site.asked.length = 0
    for (const path of ['/', '/oauth2/start?rd=%2F//../', '/.well-known/jwks.json']) {
      t.equal(await page(path), 200, `${site.name}: ${path}`)
    }
    for (const { headers } of site.asked) {
      for (const name of ['x-forwarded-uri', 'x-forwarded-method', 'x-auth-request-redirect']) {
        t.notOk(headers[name], `${site.name}: ${name}`)
      }
    }
  }
})

const ASKING = ['X-Forwarded-Uri: /x', 'X-Forwarded-Method: PUT', 'X-Auth-Request-Redirect: https://evil.test/']
const QUESTION = /\/oauth2\/(auth|forward-auth|ext-authz)|^[^?]*(%|\/\/|\.\.)/
const CLOSED = [
  '/oauth2/auth',
  '/oauth2/auth/',
  '/oauth2/auth;x',
  '/oauth2/forward-auth',
  '/oauth2/ext-authz',
  '/oauth2/ext-authz/x',
  '/oauth2/ext-authz/../start',
  '/oauth2/ext-authz/%2e%2e/start',
  '/oauth2/ext-authz/..%2fstart',
  '/x/../oauth2/auth',
  '/oauth2/./auth',
  '//oauth2/auth',
  '/oauth2//auth',
  '/oauth2/%61uth',
  '/oauth2/auth%20',
  '/%2e/oauth2/auth',
]

// proves: adv-nginx-one-challenge
t.test('a 401 has one challenge', async (t) => {
  const challenge = { 'www-authenticate': 'Cookie realm="x"', 'hx-refresh': 'true' }
  for (const site of await sitesThatSay(t, 401, challenge, 'nginx', 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    const answer = await get(site, '/x', ['Accept: application/json', 'HX-Request: true', 'Connection: close'])
    t.equal(answer.status, 401, site.name)
    t.strictSame(valuesOf(answer, 'www-authenticate'), ['Cookie realm="x"'], site.name)
    t.strictSame(valuesOf(answer, 'hx-refresh'), ['true'], site.name)
    t.equal(site.asked.at(-1)?.headers['hx-request'], 'true', site.name)
  }
})

// proves: adv-envoy-503-page
t.test('a 503 is a page with a time to try again', async (t) => {
  const later = { 'retry-after': '5', 'cache-control': 'no-store', 'content-type': 'text/html' }
  for (const site of await sitesThatSay(t, 503, later, 'nginx', 'Caddy', 'HAProxy', 'Traefik', 'Envoy')) {
    const answer = await get(site, '/x', ['Accept: text/html', 'Connection: close'])
    t.equal(answer.status, 503, site.name)
    t.match(answer.body, /<h1>/, site.name)
    for (const [name, value] of Object.entries(later)) {
      t.match(valuesOf(answer, name)[0], value, `${site.name}: ${name}`)
    }
    const program = await get(site, '/x', ['Accept: application/json', 'Connection: close'])
    t.equal(program.status, 503, site.name)
    t.strictSame(valuesOf(program, 'retry-after'), ['5'], site.name)
    t.equal(site.received.length, 0, site.name)
  }
})

// proves: adv-envoy-encoded-slash, adv-envoy-port-in-host
t.test('Envoy forwards the path that was authorised, and accepts its own port in Host', async (t) => {
  for (const site of await sites(t, 'Envoy')) {
    for (const path of ['/group%2Fproject', '//x', '/x%5Cy']) {
      t.equal((await get(site, path)).status, 200, path)
      t.equal(site.asked.at(-1)?.url, `/oauth2/ext-authz${path}`)
      t.equal(site.received.at(-1)?.url, path)
    }
    t.equal((await get(site, '/x', ['Connection: close'], `${APP}:443`)).status, 200)
    await get(site, '/x', ['Cookie: a=1', 'Cookie: b=2', 'Connection: close'])
    t.equal(site.asked.at(-1)?.headers.cookie, 'a=1; b=2', 'several lines are one')
  }
})

// proves: adv-traefik-aliases-dropped, adv-envoy-connections
t.test('Envoy and Traefik start without a warning', async (t) => {
  for (const site of (await sites(t, 'Envoy', 'Traefik 3.7')).filter(({ name }) => !name.includes('labels'))) {
    t.notMatch(site.started.output(), /\[(warning|error|critical)\]|\b(WRN|ERR)\b/, site.name)
  }
})

const CLOSE = ['Connection: close']

function get({ started }: Site, path: string, headers: readonly string[] = CLOSE, host = APP): Promise<RawAnswer> {
  return askRaw(started.app, { line: `GET ${path} HTTP/1.1`, headers: [`Host: ${host}`, ...headers] })
}

async function sites(t: Test, ...names: string[]): Promise<Site[]> {
  return await sitesThatSay(t, 200, Object.fromEntries(IDENTITY.map((name) => [name, 'given'])), ...names)
}

/** Every proxy of these names, each with an application and a Gatehouse of its own that answers so. */
async function sitesThatSay(
  t: Test,
  status: number,
  headers: Readonly<Record<string, string>>,
  ...names: string[]
): Promise<Site[]> {
  const tls = identityFiles(t)
  const all: Site[] = []
  for (const proxy of named(...names)) {
    if (proxy.missing(t)) return []
    const { received, port } = await startUpstream(t)
    const asked: Asked[] = []
    const server = createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => {
      asked.push({ url: request.url ?? '', headers: request.headers })
      response.writeHead(status, headers).end(status === 503 ? '<h1>503</h1>' : '{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      server.close()
      server.closeAllConnections()
    })
    const started = await startProxy(t, proxy, { gateway: gatewayOn(server), upstream: `127.0.0.1:${port}`, tls })
    if (started === undefined) return []
    asked.length = 0
    all.push({ name: proxy.name, started, received, asked })
  }
  return all
}

/** host:port */
function gatewayOn(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
