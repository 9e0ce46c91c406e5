// What a proxy may ask about, and what is malformed: one table for the three endpoints, sent byte by byte.
import { connect as openSocket } from 'node:net'
import t from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const HOST = 'app.test'
const RULES = [
  { hosts: [HOST], paths: ['/open/**'], allow: 'anyone' },
  { hosts: [HOST], paths: ['/admin', '/admin/**'], allow: { staff: true } },
  { hosts: ['plain.test'], allow: 'anyone' },
  { hosts: ['ported.test:8443'], allow: { staff: true } },
  { hosts: ['ported.test'], allow: 'anyone' },
]
const ENDPOINTS = ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/ext-authz'] as const
/** In a request line, which Envoy's question is, node:http refuses bytes outside ASCII itself. */
const PROXIES_THAT_COPY = ENDPOINTS.slice(0, 2)
type Endpoint = typeof ENDPOINTS[number]

interface Question {
  readonly uri: string
  readonly host?: string
  readonly cookie?: string
  /** Further header lines. */
  readonly more?: readonly string[]
}

/** The request as a proxy writes it, in Latin-1. */
function requestOf(endpoint: Endpoint, { uri, host = HOST, cookie = '', more = [] }: Question, close: boolean): string {
  const questions: Readonly<Record<Endpoint, readonly string[]>> = {
    '/oauth2/auth': ['Host: gatehouse', `X-Original-URL: https://${host}${uri}`, 'X-Original-Method: GET'],
    '/oauth2/forward-auth': [
      'Host: gatehouse',
      'X-Forwarded-Proto: https',
      `X-Forwarded-Host: ${host}`,
      `X-Forwarded-Uri: ${uri}`,
      'X-Forwarded-Method: GET',
    ],
    '/oauth2/ext-authz': [`Host: ${host}`, 'X-Forwarded-Proto: https'],
  }
  const line = `GET ${endpoint}${endpoint === '/oauth2/ext-authz' ? uri : ''} HTTP/1.1`
  return [
    line,
    ...questions[endpoint],
    ...cookie === '' ? [] : [`Cookie: ${cookie}`],
    ...more,
    ...close ? ['Connection: close'] : [],
    '',
    '',
  ].join('\r\n')
}

/** The status alone. */
function ask(gateway: TestGateway, endpoint: Endpoint, question: Question): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = openSocket(
      Number(new URL(gateway.url).port),
      '127.0.0.1',
      () => socket.write(requestOf(endpoint, question, true), 'latin1'),
    )
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    }).on('end', () => resolve(Number(text.slice(9, 12)))).on('error', reject)
  })
}

t.test('what was asked for', async (t) => {
  const gateway = await startTestGateway(t, { config: { access: { rules: RULES } } })
  const cookie = (await gateway.signIn(PERSON_IDS.guest)).browser.cookieHeader(gateway.url)
  const all = async (uri: string, more: Partial<Question> = {}) =>
    await Promise.all(ENDPOINTS.map((endpoint) => ask(gateway, endpoint, { uri, ...more })))

  // proves: adv-encoded-controls
  await t.test('control characters and bad encodings in a path are malformed for every user', async (t) => {
    const paths = [
      '/open/a%00',
      '/open/a%0a',
      '/open/a%0D',
      '/open/%09',
      '/open/a%1F',
      '/open/a%7f',
      '/open/a%c2%85',
      '/open/%C2%9Fa',
      '/open/\xc2%9b',
      '/open/%c2\x9b',
      '/open/\xc2\x9b31m',
      '/open/x%zz',
      '/open/x%',
      '/open/x%4',
    ]
    for (const path of paths) {
      for (const cookies of ['', cookie]) t.strictSame(await all(path, { cookie: cookies }), [403, 400, 400], path)
    }
  })

  // proves: adv-raw-controls
  await t.test('raw control characters and fragments are malformed in the query too', async (t) => {
    for (const uri of ['/open/x?a=\xc2\x85', '/open/x?a\tb']) {
      t.equal(await ask(gateway, '/oauth2/auth', { uri }), 403, uri)
      t.equal(await ask(gateway, '/oauth2/forward-auth', { uri }), 400, uri)
    }
    t.strictSame(await all('/open/x?a#b'), [403, 400, 400])
  })

  // proves: adv-query-is-the-applications
  await t.test("the query is the application's: whatever is encoded in it, well or badly", async (t) => {
    for (
      const query of ['a=%', 'q=100%', 'q=50%+off', 'name=caf%u00e9', 'a=%00', 'a=%0a%zz', 'a=/../%2e%2e/', '?%', '']
    ) {
      t.strictSame(await all(`/open/x?${query}`), [200, 200, 200], query)
    }
    for (const endpoint of PROXIES_THAT_COPY) {
      t.equal(await ask(gateway, endpoint, { uri: '/open/x?q=\xc3\xa9%' }), 200, 'unencoded letters too')
    }
    const asked = {
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(gateway.url).host,
      'x-forwarded-uri': '/x?q=100%',
      'x-forwarded-method': 'GET',
    }
    const { location = '' } = await gateway.ask('/oauth2/forward-auth', { headers: { accept: 'text/html', ...asked } })
    t.equal(new URL(location).searchParams.get('rd'), `${gateway.url}/x?q=100%`)
    t.equal((await gateway.ask(location.slice(gateway.url.length))).status, 302, 'and people come back to it')
  })

  // proves: adv-every-language
  await t.test('letters of every language pass', async (t) => {
    for (
      const letters of [
        'caf\u00e9',
        '\u00c0\u00df',
        '\u65e5\u672c\u8a9e',
        '\u0627\u0644\u0639',
        '\u0939\u093f',
        '\u0445\u043b\u0435\u0431',
        '\u{1f600}',
        '\u00a9\u65e5',
        '\u00bf\u0418',
      ]
    ) {
      t.strictSame(await all(`/open/${encodeURIComponent(letters)}`), [200, 200, 200], letters)
      const unencoded = Buffer.from(letters).toString('latin1')
      for (const endpoint of PROXIES_THAT_COPY) {
        t.equal(await ask(gateway, endpoint, { uri: `/open/${unencoded}` }), 200, `${letters} unencoded`)
      }
    }
  })

  // proves: adv-question-undecoded
  await t.test('what can be read in several ways is judged by the strictest, by every endpoint', async (t) => {
    const paths = [
      '/open/..%2fadmin',
      '/open%2f..%2fadmin',
      '/open/..%5cadmin',
      '/admin%20',
      '/admin%C2%A0',
      '/admin%E3%80%80/x',
      '/open/%ff',
      '/open/%c0%ae',
      '//admin',
      '//any/admin',
      '/open/..;/admin',
      '/admin;x',
      '/open\\..\\admin',
      '/admin%2520',
      '/admin%250a',
      '/open/..%252fadmin',
      '/%61dmin',
    ]
    for (const path of paths) {
      t.strictSame(await all(path, { cookie }), [403, 403, 403], path)
      t.strictSame(await all(path), [401, 401, 401], `${path} by nobody`)
    }
    for (const endpoint of PROXIES_THAT_COPY) {
      t.equal(await ask(gateway, endpoint, { uri: '/open/\xff', cookie }), 403, 'unencoded bytes that are no UTF-8')
    }
    for (const path of ['/open/a%2fb', '/open/a//b', '/open/a;b', '/open/a%20', '/open/a%5cb']) {
      t.strictSame(await all(path), [200, 200, 200], path)
    }
    t.strictSame(
      await all('/..%2fadmin%20/%ff//x;y/%250a', { host: 'plain.test' }),
      [200, 200, 200],
      'where no rule has paths it does not matter',
    )
  })

  // proves: adv-question-dot-segments
  await t.test('a segment . or .. is judged, and malformed below /oauth2/ext-authz', async (t) => {
    for (const path of ['/open/../admin', '/open/%2e%2e/admin', '/open/.%2E/admin', '/admin/.', '/admin/%2e']) {
      t.strictSame(await all(path, { cookie }), [403, 403, 400], path)
    }
    for (const path of ['/open/a/../b', '/open/./b']) {
      t.strictSame(await all(path), [200, 200, 400], path)
    }
    // Programs that leave no slash where the last segment was a dot read these as /open, which no rule opens.
    for (const path of ['/open/%2e', '/open/x/..?a=b']) {
      t.strictSame(await all(path), [401, 401, 400], path)
    }
    for (const path of ['/../start', '/%2e%2e/start', '/.%2e', '/..', '/.', '/%2e']) {
      t.equal(await ask(gateway, '/oauth2/ext-authz', { uri: path, cookie }), 400, path)
    }
    for (const path of ['/open/..a', '/open/...', '/open/.a', '/open/x?a=/../b']) {
      t.strictSame(await all(path), [200, 200, 200], path)
    }
  })

  // proves: adv-page-is-no-question
  await t.test('a page of ours is no question, whatever a client adds', async (t) => {
    const own = new URL(gateway.url).host
    const forged = {
      'x-forwarded-uri': '/open/x',
      'x-forwarded-method': 'GET',
      'x-forwarded-proto': 'http',
      'accept': 'text/html',
    }
    const { browser } = await gateway.signIn(PERSON_IDS.guest)
    for (const host of [own, '127.0.0.1', '127.0.0.1.', '127.0.0.1:1']) {
      for (const forwardedHost of [{}, { 'x-forwarded-host': host }, { 'x-forwarded-host': own }]) {
        const answer = await gateway.ask('/', {
          browser,
          headers: { ...forged, host, ...forwardedHost } as Record<string, string>,
        })
        t.equal(answer.status, 404, host)
        t.equal(answer.headers.get('x-auth-request-user'), null)
      }
    }
    t.equal(
      (await gateway.ask('/', { browser, headers: { ...forged, 'x-forwarded-host': HOST } })).status,
      200,
      'a proxy names its application',
    )
    t.equal(
      (await gateway.ask('/', { browser, headers: { ...forged, 'host': 'gatehouse', 'x-forwarded-host': own } }))
        .status,
      200,
      'or asks at another name',
    )
  })
})

t.test('the port that the proxy was reached on', async (t) => {
  const gateway = await startTestGateway(t, { config: { access: { rules: RULES } } })
  const cookie = (await gateway.signIn(PERSON_IDS.guest)).browser.cookieHeader(gateway.url)
  const asked = async (at: TestGateway, host: string, ...ports: string[]) => {
    const more = ports.map((port) => `X-Forwarded-Port: ${port}`)
    return await Promise.all(ENDPOINTS.map((endpoint) => ask(at, endpoint, { uri: '/x', host, cookie, more })))
  }

  // proves: adv-port-by-proxy
  await t.test('it counts by the word of a trusted proxy, and never by that of Host', async (t) => {
    t.strictSame(await asked(gateway, 'ported.test', '8443'), [403, 403, 403])
    t.strictSame(await asked(gateway, 'ported.test:8443', '8443'), [403, 403, 403])
    t.strictSame(await asked(gateway, 'ported.test', '443'), [200, 200, 200])
    for (const host of ['ported.test', 'ported.test:1', 'ported.test:8443', 'ported.test:443']) {
      t.strictSame(await asked(gateway, host), [403, 403, 403], `${host} and no word of the proxy`)
    }
    t.strictSame(await asked(gateway, 'plain.test:7'), [200, 200, 200], 'where no rule names a port it does not matter')
  })

  // proves: adv-port-named-twice
  await t.test('a host that names another port, and a port that is none or there twice, are malformed', async (t) => {
    for (const host of ['ported.test:1', 'plain.test:8443']) {
      t.strictSame(await asked(gateway, host, '443'), [403, 400, 400], host)
    }
    for (const ports of [['443', '443'], ['443, 443'], ['443,8443'], ['0'], ['https'], ['']]) {
      t.strictSame(await asked(gateway, 'plain.test', ...ports), [403, 400, 400], ports.join(' and '))
    }
  })

  await t.test('it is ignored from an untrusted peer', async (t) => {
    const untrusted = await gateway.restart({ server: { trustedProxies: ['192.0.2.0/24'] } })
    t.strictSame(await asked(untrusted, 'ported.test', '443'), [401, 401, 401])
    await untrusted.close()
  })
})

// proves: adv-unnamed-host
t.test('a host that no rule names is counted and named in the log once', async (t) => {
  const gateway = await startTestGateway(t, { config: { access: { rules: RULES } } })
  const cookie = (await gateway.signIn(PERSON_IDS.guest)).browser.cookieHeader(gateway.url)
  for (let round = 0; round < 3; round++) { // the first asks the database, the others are answered by the fast path
    for (const host of ['gatehouse', 'other.test', HOST]) {
      t.equal(await ask(gateway, '/oauth2/auth', { uri: '/x', host, cookie }), 200)
    }
    t.equal(await ask(gateway, '/oauth2/auth', { uri: '/x', host: 'stranger.test' }), 401)
  }
  const named = gateway.log.filter(({ msg }) => /no access rule names the host/.test(String(msg)))
  t.match(named.map(({ host }) => host), ['gatehouse', 'other.test'])
  t.match(named[0]?.msg, /open to everybody who is signed in/)
  const metrics = await (await fetch(`${gateway.management}/metrics`)).text()
  t.match(metrics, /^gatehouse_access_unnamed_host_total 6$/m)
  gateway.reload({ access: { rules: [] } })
  t.equal(await ask(gateway, '/oauth2/auth', { uri: '/x', host: 'third.test', cookie }), 200)
  t.notOk(
    gateway.log.some(({ host, msg }) => host === 'third.test' && /no access rule/.test(String(msg))),
    'without rules every host is meant',
  )
})
