// nginx chooses the application by the host of a whole URL in the request line; rules are judged by Host. The shipped
// files refuse a request in which the two differ, whatever Gatehouse would say of it.
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { freePorts } from '../helpers/gateway.js'
import { filledIn, runNginx } from '../helpers/proxies.js'
import { startUpstream, type Received } from '../helpers/upstream.js'

const APP = 'wiki.example.com'
const AUTH = 'auth.example.com'
const OTHER = 'status.example.com'
const REFUSED = 421

interface Site {
  readonly port: number
  /** What reached the application, and what Gatehouse was asked. */
  readonly received: Received[]
  readonly asked: IncomingMessage[]
}

// proves: adv-nginx-two-hosts
t.test('the application: a request line with another host is refused without a request to Gatehouse', async (t) => {
  const site = await startSite(t)
  if (!site) return
  for (const method of ['GET', 'POST', 'DELETE']) {
    for (
      const other of [OTHER, AUTH, `${OTHER}:443`, `${APP}.${OTHER}`, `x${APP}`, `${APP}x`, '127.0.0.1', `${APP}:80:80`]
    ) {
      t.equal(
        await statusOf(site, `${method} https://${APP}/admin HTTP/1.1`, other),
        REFUSED,
        `${method}, Host ${other}`,
      )
    }
  }
  t.strictSame({ asked: site.asked.length, received: site.received.length }, { asked: 0, received: 0 })
})

// proves: adv-nginx-same-host
t.test('the application: one host in every spelling is one host', async (t) => {
  const site = await startSite(t)
  if (!site) return
  for (const host of [APP, 'WIKI.Example.com', `${APP}.`, `${APP}:443`, `${APP}.:443`]) {
    t.equal(await statusOf(site, 'GET /page HTTP/1.1', host), 200, host)
    for (const line of [APP, 'WIKI.Example.com', `${APP}:443`]) {
      t.equal(await statusOf(site, `GET https://${line}/page HTTP/1.1`, host), 200, `${line}, Host ${host}`)
    }
  }
  t.ok(
    site.asked.every(({ headers }) => new URL(String(headers['x-original-url'])).hostname.replace(/\.$/, '') === APP),
  )
})

// proves: adv-nginx-beside-include
t.test('the application: its own directives beside the include add to ours and do not replace them', async (t) => {
  const site = await startSite(t, 'proxy_set_header X-Own one;\nproxy_set_header X-Other two;')
  if (!site) return
  t.equal(await statusOf(site, 'GET /page HTTP/1.1', APP, 'Remote-User: forged', 'X-Forwarded-User: forged'), 200)
  t.match(site.received.at(-1)?.headers, { 'x-own': 'one', 'x-other': 'two', 'remote-user': 'somebody' })
  t.notOk('x-forwarded-user' in (site.received.at(-1)?.headers ?? {}))
})

// proves: adv-nginx-two-hosts-pages
t.test('the pages: a request line with another host is refused', async (t) => {
  const site = await startSite(t)
  if (!site) return
  for (const other of [OTHER, APP]) {
    t.equal(await statusOf(site, `GET https://${AUTH}/ HTTP/1.1`, other), REFUSED, other)
  }
  t.equal(await statusOf(site, `GET https://${AUTH}/ HTTP/1.1`, AUTH), 200)
  t.equal(site.asked.length, 1)
})

// proves: adv-nginx-port
t.test("the authorisation request has the port of the site, never the client's", async (t) => {
  const site = await startSite(t)
  if (!site) return
  for (const host of [APP, `${APP}:1`]) {
    t.equal(await statusOf(site, 'GET /page HTTP/1.1', host, 'X-Forwarded-Port: 1'), 200)
  }
  t.strictSame(site.asked.map(({ headers }) => headers['x-forwarded-port']), ['8443', '8443'])
})

// proves: adv-nginx-question-closed
t.test('the pages: the authorisation endpoint is unreachable in every spelling', async (t) => {
  const site = await startSite(t)
  if (!site) return
  for (const path of CLOSED) t.match(String(await statusOf(site, `GET ${path} HTTP/1.1`, AUTH)), /^40[04]$/, path)
  t.strictSame(site.asked.map(({ url }) => url), [])
  for (const path of OPEN) t.equal(await statusOf(site, `GET ${path} HTTP/1.1`, AUTH), 200, path)
})

const CLOSED = [
  '/oauth2/auth',
  '/oauth2/auth/',
  '/oauth2/auth;x',
  '/oauth2/forward-auth?x',
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
  '/oauth2/auth%00',
  '/oauth2/auth%20',
  '/oauth2/auth#',
  '/#/../oauth2/auth',
  '/.well-known/../oauth2/auth',
  '/.well-known/jwks.json/../../oauth2/auth',
  '/%2e/oauth2/auth',
  '/oauth2/ext-authz/x/../../../.well-known/jwks.json',
  `https://${AUTH}/oauth2/ext-authz/../start`,
]
const OPEN = [
  '/',
  '/?rd=%2F//../',
  '/oauth2/start?rd=https%3A%2F%2Fx//../',
  '/.well-known/jwks.json',
  '/.well-known/jwks.json?x',
]

const INCLUDE = /^ *include .*gatehouse-location\.conf;$/m

/**
 * A Gatehouse that lets everybody pass, and the shipped files without TLS.
 * @param ownLines of the application's location, beside the include
 */
async function startSite(t: Test, ownLines = ''): Promise<Site | undefined> {
  const { received, port: upstream } = await startUpstream(t)
  const asked: IncomingMessage[] = []
  const gatehouse = createServer((request, response) => {
    asked.push(request)
    response.writeHead(200, { 'x-auth-request-user': 'somebody' }).end()
  })
  await new Promise<void>((resolve) => gatehouse.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    gatehouse.close()
    gatehouse.closeAllConnections()
  })
  const [port = 0] = await freePorts(1)
  const site = filledIn('config/proxies/nginx/site.conf.template', {
    GATEHOUSE_LISTEN: `127.0.0.1:${port}`,
    GATEHOUSE_PORT: '8443',
    GATEHOUSE_APP_HOST: APP,
    GATEHOUSE_AUTH_HOST: AUTH,
    GATEHOUSE_UPSTREAM: `127.0.0.1:${(gatehouse.address() as AddressInfo).port}`,
    GATEHOUSE_APP_UPSTREAM: `127.0.0.1:${upstream}`,
  })
  const text = site.replace(/^ssl_certificate.*\n/gm, '').replace(INCLUDE, (line) => `${line}\n${ownLines}`)
  const running = await runNginx(t, text, port)
  return running && { port, received, asked }
}

/** A request as bytes: a client library would tidy it up. */
function statusOf({ port }: Site, line: string, host: string, ...headers: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => {
      socket.write([line, `Host: ${host}`, ...headers, 'Content-Length: 0', 'Connection: close', '', ''].join('\r\n'))
    })
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    }).on('error', reject)
    socket.on('end', () => {
      socket.destroy()
      resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0))
    })
  })
}
