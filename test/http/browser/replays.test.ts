// Traefik and Envoy are no packages of ours to run: what they send and what they make of an answer is replayed here,
// from the very lists and addresses of the shipped files. What the real ones do beyond that is not shown by it.
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import t from 'tap'
import { parse } from 'yaml'
import { IDENTITY_HEADERS } from '../../../src/core/identity-headers.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { createBrowser, NAVIGATION } from '../../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'

type Headers = Readonly<Record<string, string>>
interface Client {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly headers: Headers
}
/** What the application receives, or what the client is told. */
type Outcome = { readonly passed: true, readonly headers: Headers } | {
  readonly passed: false
  readonly status: number
  readonly headers: Headers
  readonly text: string
}
interface Proxy {
  readonly name: string
  pass(gateway: TestGateway, client: Client): Promise<Outcome>
}

const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authorization',
]
const without = (headers: Headers, gone: (name: string) => boolean): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !gone(name.toLowerCase())))

function ask(
  url: string,
  method: string,
  headers: Headers,
): Promise<{ status: number, headers: Headers, text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers, agent: false }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      }).on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers as Headers, text }))
    }).on('error', reject).end()
  })
}

/**
 * forwardAuth: every header of the client but those of the connection, the target in X-Forwarded-*, always GET; any 2xx
 * passes.
 */
function traefik(name: string, { address, authResponseHeadersRegex, authResponseHeaders = [] }: ForwardAuth): Proxy {
  const regex = authResponseHeadersRegex === undefined
    ? undefined
    : new RegExp(authResponseHeadersRegex.replace(/^\(\?i\)/, ''), 'i')
  const listed = authResponseHeaders.map((each) => each.toLowerCase())
  const copied = (header: string) => (regex?.test(header) ?? false) || listed.includes(header.toLowerCase())
  return {
    name,
    async pass(gateway, { method, path, host, headers }) {
      const question = {
        ...without(headers, (header) => HOP_BY_HOP.includes(header) || header.startsWith('x-forwarded-')),
        'host': new URL(address).host,
        'x-forwarded-method': method,
        'x-forwarded-proto': 'https',
        'x-forwarded-host': host,
        'x-forwarded-uri': path,
        'x-forwarded-for': '203.0.113.7',
        'x-forwarded-port': /:(\d+)$/.exec(host)?.[1] ?? '443',
        'x-forwarded-server': 'traefik',
      }
      const answer = await ask(`${gateway.url}${new URL(address).pathname}`, 'GET', question)
      if (answer.status < 200 || answer.status > 299) return { passed: false, ...answer }
      return {
        passed: true,
        headers: {
          ...without(headers, copied),
          ...Object.fromEntries(Object.entries(answer.headers).filter(([header]) => copied(header))),
        },
      }
    },
  }
}
interface ForwardAuth {
  readonly address: string
  readonly authResponseHeadersRegex?: string
  readonly authResponseHeaders?: readonly string[]
}

interface Patterns {
  readonly patterns: readonly { readonly exact?: string, readonly prefix?: string }[]
}
const matches = ({ patterns }: Patterns, name: string) =>
  patterns.some(({ exact, prefix }) => exact === name || (prefix !== undefined && name.startsWith(prefix)))

/** ext_authz: the request itself behind the prefix, listed headers alone; exactly 200 passes. */
function envoy(text: string): Proxy {
  const {
    allowed_headers: told,
    http_service: {
      path_prefix: prefix,
      authorization_response: { allowed_upstream_headers: upstream, allowed_client_headers: client },
    },
  } = extAuthzOf(parse(text))
  return {
    name: 'Envoy ext_authz',
    async pass(gateway, { method, path, host, headers }) {
      const stripped = without(
        headers,
        (header) =>
          header.includes('_') ||
          /^(x-auth-request|remote-|x-gatehouse|x-original|x-forwarded|forwarded$)/.test(
            header.replace(/[^a-z0-9]+/g, '-'),
          ),
      )
      const seen = { ...stripped, 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.7' }
      const answer = await ask(`${gateway.url}${prefix}${path}`, method, {
        ...without(seen, (header) => !matches(told, header)),
        host,
        'content-length': '0',
      })
      if (answer.status !== 200) {
        return {
          passed: false,
          status: answer.status,
          text: answer.text,
          headers: without(answer.headers, (header) => !matches(client, header)),
        }
      }
      return { passed: true, headers: { ...seen, ...without(answer.headers, (header) => !matches(upstream, header)) } }
    },
  }
}
interface ExtAuthz {
  readonly failure_mode_allow: boolean
  readonly allowed_headers: Patterns
  readonly http_service: {
    readonly path_prefix: string
    readonly authorization_response: {
      readonly allowed_upstream_headers: Patterns
      readonly allowed_client_headers: Patterns
    }
  }
}

/** The one filter of that type, wherever it is. */
function extAuthzOf(value: unknown): ExtAuthz {
  const found: ExtAuthz[] = []
  const look = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if (String((node as { '@type'?: string })['@type']).endsWith('ext_authz.v3.ExtAuthz')) found.push(node as ExtAuthz)
    Object.values(node).forEach(look)
  }
  look(value)
  if (!found[0] || found.length > 1) throw new Error(`${found.length} ext_authz filters`)
  return found[0]
}

const fileProvider = parse(readFileSync('config/proxies/traefik.yml', 'utf8')) as {
  http: {
    middlewares: { gatehouse: { forwardAuth: ForwardAuth }, nobody: { ipAllowList: { rejectStatusCode: number } } }
  }
}
const labels = (parse(readFileSync('config/proxies/traefik-labels.yml', 'utf8')) as {
  services: { gatehouse: { labels: Record<string, string> } }
}).services.gatehouse.labels
const label = (key: string) =>
  (labels[`traefik.http.middlewares.gatehouse.forwardauth.${key}`] ?? '').replaceAll('$$', '$')
const PROXIES = [
  traefik('Traefik, file provider', fileProvider.http.middlewares.gatehouse.forwardAuth),
  traefik('Traefik, labels', {
    address: label('address'),
    authResponseHeadersRegex: label('authresponseheadersregex'),
  }),
  envoy(readFileSync('config/proxies/envoy.yaml', 'utf8')),
]

const FORGED = {
  'Remote-User': 'forged',
  'remote_user': 'forged',
  'Remote_Groups': 'forged',
  'X-Auth-Request-Groups': 'forged',
  'X_Auth_Request_Superuser': 'forged',
  'X-AUTH_REQUEST-STAFF': 'forged',
  'X-Gatehouse-Assertion': 'forged',
  'x_gatehouse-assertion': 'forged',
  'X.Auth.Request.User': 'forged',
  'X-Auth-Request~Groups': 'forged',
  'Remote!User': 'forged',
  'X|Gatehouse|Assertion': 'forged',
}

for (const proxy of PROXIES) {
  t.test(proxy.name, async (t) => {
    const gateway = await startTestGateway(t, {
      config: {
        access: {
          rules: [{ hosts: ['wiki.test'], paths: ['/open/**'], allow: 'anyone' }, {
            hosts: ['wiki.test'],
            paths: ['/admin/**'],
            allow: { superuser: true },
          }],
        },
      },
    })
    const { browser } = await gateway.signIn(PERSON_IDS.staff)
    const cookie = browser.cookieHeader(gateway.url)
    const from = (headers: Headers, path = '/page?a=1&b=%20', method = 'GET') =>
      proxy.pass(gateway, { method, path, host: 'wiki.test', headers })

    const page = await from(NAVIGATION)
    t.match(page, {
      passed: false,
      status: 302,
      headers: { location: `${gateway.url}/oauth2/start?rd=${encodeURIComponent('https://wiki.test/page?a=1&b=%20')}` },
    }, 'a page load is sent to sign in, absolutely, and comes back')
    t.match(await from(NAVIGATION, '/form', 'POST'), { passed: false, status: 303 })
    t.match(await from({ accept: 'application/json' }), {
      passed: false,
      status: 401,
      headers: { 'www-authenticate': /^Cookie / },
      text: /"not_signed_in"/,
    })
    t.match(await from({ ...NAVIGATION, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }), {
      passed: false,
      status: 401,
    })
    t.match(await from({ ...NAVIGATION, cookie }, '/admin/x'), {
      passed: false,
      status: 403,
      headers: { 'content-type': /text\/html/ },
      text: /access\.rules\[1\]/,
    })
    for (const path of ['/open/../admin', '/open/%2e%2e/admin', '/open/..%2fadmin', '/open/..;/admin']) {
      t.equal((await from({ accept: '*/*', cookie }, `${path}/x`)).passed, false, path)
    }
    for (const path of ['/x%zz', '/x%00']) {
      t.match(await from({ accept: '*/*', cookie }, path), { passed: false, status: 400 }, path)
    }

    for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'PROPFIND']) {
      const passed = await from({ ...NAVIGATION, ...FORGED, cookie }, '/page', method)
      t.match(passed, {
        passed: true,
        headers: {
          'remote-user': 'sam.staff@contoso.example',
          'x-auth-request-staff': 'true',
          'x-auth-request-superuser': 'false',
        },
      }, method)
      t.notOk(Object.values(passed.headers).includes('forged'), `${method}: ${JSON.stringify(passed.headers)}`)
    }
    const nobody = await from({ accept: '*/*', ...FORGED }, '/open/x')
    t.equal(nobody.passed, true)
    t.notOk(Object.values(nobody.headers).includes('forged'), 'nobody is nobody')
    t.equal(nobody.headers['remote-user'], '')
    for (const name of IDENTITY_HEADERS) t.ok(name.toLowerCase() in nobody.headers, `${name} arrives`)
  })
}

t.test('every shipped file names every identity header, and closes the question to the outside', async (t) => {
  const files = ['nginx/gatehouse-location.conf', 'Caddyfile', 'gatehouse.lua', 'ingress-nginx.yaml']
  for (const file of files) {
    const text = readFileSync(`config/proxies/${file}`, 'utf8').toLowerCase()
    for (const name of IDENTITY_HEADERS) t.ok(text.includes(name.toLowerCase()), `${file}: ${name}`)
  }
  for (
    const file of [
      'nginx/gatehouse-pages.conf',
      'Caddyfile',
      'haproxy.cfg',
      'envoy.yaml',
      'traefik.yml',
      'traefik-labels.yml',
    ]
  ) {
    for (const path of ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/ext-authz']) {
      t.ok(readFileSync(`config/proxies/${file}`, 'utf8').includes(path), `${file}: ${path}`)
    }
  }
  const ingress = readFileSync('config/proxies/ingress-nginx.yaml', 'utf8')
  t.notMatch(ingress, /path: \/oauth2\/(auth|forward-auth|ext-authz)/)
  t.notMatch(ingress, /path: \/oauth2, /)
  const envoyText = readFileSync('config/proxies/envoy.yaml', 'utf8')
  t.equal(extAuthzOf(parse(envoyText)).failure_mode_allow, false)
  const otherSpelling = new RegExp(`^(?:${/safe_regex: \{ regex: "(.+?)" \}/.exec(envoyText)?.[1]})$`)
  for (const path of ['/oauth2/%61uth', '/%6fauth2/auth', '/oauth2/ext%2dauthz/x', '//oauth2/auth', '/x/./y']) {
    t.match(path, otherSpelling)
  }
  for (const path of ['/', '/oauth2/start', '/oauth2/callback', '/oauth2/sign_out', '/oauth2/assets/a.css']) {
    t.notMatch(path, otherSpelling)
  }
  const keys = envoyText.indexOf('{ path: /.well-known/jwks.json }')
  t.ok(keys > 0 && keys < envoyText.indexOf('safe_regex'), 'the keys have a route of their own before it')
  t.equal(fileProvider.http.middlewares.nobody.ipAllowList.rejectStatusCode, 404)
})

t.test("oauth2-proxy's samples for Traefik, while there are no rules", async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const cookie = browser.cookieHeader(gateway.url)
  const client = (headers: Headers): Client => ({ method: 'GET', path: '/page?x=1', host: '127.0.0.1:8443', headers })

  await t.test('forwardAuth to /oauth2/auth, and the errors middleware to /oauth2/sign_in?rd={url}', async (t) => {
    const sample = traefik('sample', {
      address: 'http://gatehouse:4180/oauth2/auth',
      authResponseHeaders: ['X-Auth-Request-User', 'X-Auth-Request-Groups'],
    })
    t.match(await sample.pass(gateway, client({ ...NAVIGATION, cookie })), {
      passed: true,
      headers: { 'x-auth-request-user': 'sam.staff@contoso.example', 'x-auth-request-groups': 'Network Engineers' },
    })
    t.match(await sample.pass(gateway, client(NAVIGATION)), { passed: false, status: 401 })
    const page = await createBrowser().ask(
      `${gateway.url}/oauth2/sign_in?rd=${encodeURIComponent('http://127.0.0.1:8443/page?x=1')}`,
    )
    t.equal(page.status, 200)
    t.match(page.text, `${gateway.url}/oauth2/start?rd=${encodeURIComponent('http://127.0.0.1:8443/page?x=1')}`)
  })

  await t.test('forwardAuth to / (its static upstream)', async (t) => {
    const sample = traefik('sample', {
      address: 'http://gatehouse:4180/',
      authResponseHeaders: ['X-Auth-Request-User', 'Authorization'],
    })
    t.match(await sample.pass(gateway, client({ ...NAVIGATION, cookie })), {
      passed: true,
      headers: { 'x-auth-request-user': 'sam.staff@contoso.example' },
    })
    t.match(await sample.pass(gateway, client(NAVIGATION)), {
      passed: false,
      status: 302,
      headers: { location: /\/oauth2\/start\?rd=https/ },
    })
    gateway.reload({ access: { default: 'deny' } })
    t.match(
      await sample.pass(gateway, client({ ...NAVIGATION, cookie })),
      { passed: false, status: 403 },
      'and rules hold there too',
    )
    gateway.reload({})
  })

  await t.test('with rules, and server.authRequestHeaders: forwarded', async (t) => {
    const ruled = await startTestGateway(t, {
      config: {
        server: { authRequestHeaders: 'forwarded' },
        access: {
          rules: [{ hosts: ['127.0.0.1'], paths: ['/page'], allow: { staff: true } }, {
            hosts: ['127.0.0.1'],
            allow: 'deny',
          }],
        },
      },
    })
    const { browser: staff } = await ruled.signIn(PERSON_IDS.staff)
    const sample = traefik('sample', {
      address: 'http://gatehouse:4180/oauth2/auth',
      authResponseHeaders: ['X-Auth-Request-User'],
    })
    const headers = { ...NAVIGATION, cookie: staff.cookieHeader(ruled.url) }
    t.match(await sample.pass(ruled, client(headers)), { passed: true })
    t.match(await sample.pass(ruled, { ...client(headers), path: '/other' }), { passed: false, status: 403 })
  })
})
