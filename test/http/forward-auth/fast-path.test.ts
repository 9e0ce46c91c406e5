// The fast path answers exactly as Fastify's route does: the same requests are sent over a connection, where the fast
// path applies, and injected into the routes themselves.
import { request as ask } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { NOTHING_COUNTED } from '../../../src/core/activity-counters.js'
import { NOTHING_SAMPLED } from '../../../src/core/request-sample.js'
import { createFastPath } from '../../../src/http/forward-auth/fast-path.js'
import { parseTargetUrl } from '../../../src/core/target.js'
import { fromTrustedPeers } from '../../../src/http/forward-auth/target-headers.js'
import { createAuthorizer, type FastPathVerdict } from '../../../src/http/forward-auth/authorizer.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'

const ACCESS = {
  default: 'deny',
  rules: [
    { hosts: ['open.test'], allow: 'anyone' },
    { hosts: ['app.test'], paths: ['/static/**'], allow: 'anyone' },
    { hosts: ['app.test'], paths: ['/admin/**'], allow: { staff: true } },
    { hosts: ['app.test'], networks: ['203.0.113.0/24'], paths: ['/net/**'], allow: 'anyone' },
    { hosts: ['app.test'], methods: ['GET', 'HEAD'], allow: 'authenticated' },
    { hosts: ['*.app.test'], allow: { groups: ['Network Engineers'] } },
    { hosts: ['ported.test:8443'], allow: { staff: true } },
    { hosts: ['ported.test'], allow: 'anyone' },
  ],
}
const VOLATILE = new Set(['date', 'connection', 'keep-alive'])

interface Question {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
}

/** The home page is rate-limited by session; only forward-auth requests to its address are compared. */
const isPage = (url: string): boolean => url === '/'

/** Status and all headers, as they came. */
async function overTheWire(gateway: TestGateway, { method, url, headers }: Question): Promise<unknown> {
  return await new Promise((resolve, reject) => {
    const { hostname, port } = new URL(gateway.url)
    const sent = ask({ hostname, port, method, path: url, headers, agent: false }, (response) => {
      response.resume()
      response.on(
        'end',
        () =>
          resolve({
            status: response.statusCode,
            headers: Object.fromEntries(Object.entries(response.headers).filter(([name]) => !VOLATILE.has(name))),
          }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function byTheRoute(gateway: TestGateway, { method, url, headers }: Question): Promise<unknown> {
  const answer = await gateway.gateway.app.inject({
    method: method as 'GET',
    url,
    headers: { host: new URL(gateway.url).host, ...headers },
    remoteAddress: '127.0.0.1',
  })
  return {
    status: answer.statusCode,
    headers: Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !VOLATILE.has(name))),
  }
}

// proves: live-fast-path-anonymous, live-fast-path-closed-host, live-fast-path-allowed, live-fast-path-query
t.test('the fast path and the route give the same answer, and count it in the same way', async (t) => {
  const gateway = await startTestGateway(t, {
    config: {
      access: ACCESS,
      headers: { extra: [{ name: 'X-Sub', value: 'sub' }] },
      log: { access: 'none' },
      admin: {},
    },
  }) // a 401 takes the fast path, too
  const cookies = ['', 'gatehouse_session=forged', 'gatehouse_session=a; gatehouse_session=b']
  for (const person of [PERSON_IDS.staff, PERSON_IDS.superuser, PERSON_IDS.guest]) {
    const { browser } = await gateway.signIn(person)
    cookies.push(`lang=en; ${browser.cookieHeader(gateway.url)}`)
  }
  // proves: live-fast-path-address
  await t.test('no request is refused before its client address is known', async (t) => {
    for (const [client, status] of [['203.0.113.7', 200], ['198.51.100.1', 401]] as const) {
      const asked = {
        method: 'GET',
        url: '/oauth2/auth',
        headers: { 'x-original-url': 'https://app.test/net/x', 'x-original-method': 'GET', 'x-forwarded-for': client },
      }
      t.match(await overTheWire(gateway, asked), { status }, client)
    }
  })
  const pick = fc.constantFrom
  const question: fc.Arbitrary<Question> = fc.record({
    method: pick('GET', 'HEAD', 'POST', 'PROPFIND'),
    url: pick(
      '/oauth2/auth',
      '/oauth2/auth?x=1',
      '/oauth2/auth/',
      '/oauth2/%61uth',
      '/oauth2/forward-auth',
      '/oauth2/forward-auth?rd=%2f',
      '/oauth2/ext-authz/admin/x?y=1',
      '/oauth2/ext-authz/page',
      '/oauth2/ext-authz/*',
      '/oauth2/ext-authz/static/%ff',
      '/',
    ),
    cookie: pick(...cookies),
    host: pick(
      'app.test',
      'APP.test.',
      'app.test:443',
      'open.test',
      'x.app.test',
      'other.test',
      'ported.test',
      'ported.test:8443',
      'a b',
    ),
    port: pick('', '', '443', '8443', '0'),
    path: pick(
      '/',
      '/page?q=%20',
      '/static/a',
      '/admin/',
      '/admin/../page',
      '/net/x',
      '/%2e%2e/admin',
      '/a%zz',
      '/x#y',
      '/x?a=%',
      '/static/%ff',
      '/static/..%2fadmin/',
      '/static/a%20',
      '/a%0a',
    ),
    scheme: pick('https', 'http', 'gopher'),
    asked: pick('GET', 'POST', 'get', 'b ad'),
    says: pick('all', 'all', 'all', 'nothing', 'half'),
    client: pick('203.0.113.7', '198.51.100.1', '203.0.113.7:5', 'unknown'),
    accept: pick('text/html', '*/*'),
  }).map(({ method, url, cookie, host, port, path, scheme, asked, says, client, accept }) => ({
    method,
    url,
    headers: {
      accept,
      'x-forwarded-for': client,
      ...(port === '' ? {} : { 'x-forwarded-port': port }),
      ...(cookie === '' ? {} : { cookie }),
      ...(url.startsWith('/oauth2/ext-authz')
        ? { 'host': host.replace(' ', ''), 'x-forwarded-proto': scheme }
        : says === 'nothing' && !isPage(url)
        ? {}
        : {
          'x-original-url': `${scheme}://${host}${path}`,
          'x-original-method': asked,
          'x-forwarded-host': host,
          ...(says === 'half' && !isPage(url)
            ? {}
            : { 'x-forwarded-proto': scheme, 'x-forwarded-uri': path, 'x-forwarded-method': asked }),
        }),
    },
  }))
  const statuses = new Map<number, number>()
  const counted = new Set<string>()
  await gateway.gateway.changes.caughtUp()
  await fc.assert(
    fc.asyncProperty(question, async (asked) => {
      await overTheWire(gateway, asked) // fills the session cache
      const { counters } = gateway.gateway.activity
      counters.take()
      const wire = await overTheWire(gateway, asked)
      const countedOnWire = counters.take()
      const route = await byTheRoute(gateway, asked)
      const countedByRoute = counters.take()
      for (const { kind, key } of countedOnWire) counted.add(`${kind} ${key}`)
      statuses.set((wire as { status: number }).status, (statuses.get((wire as { status: number }).status) ?? 0) + 1)
      if (JSON.stringify(sorted(wire)) !== JSON.stringify(sorted(route))) {
        throw new Error(`${JSON.stringify(wire)}\n${JSON.stringify(route)}`)
      }
      if (JSON.stringify(countedOnWire) !== JSON.stringify(countedByRoute)) {
        throw new Error(`${JSON.stringify(countedOnWire)}\n${JSON.stringify(countedByRoute)}`)
      }
    }),
    { numRuns: 1_500, ...(process.env.FC_SEED ? { seed: Number(process.env.FC_SEED) } : {}) },
  )
  t.comment(`statuses: ${JSON.stringify(Object.fromEntries(statuses))}`)
  for (const status of [200, 400, 401, 403, 404]) t.ok(statuses.has(status), String(status))
  t.comment(`counted: ${[...counted].sort().join(', ')}`)
  for (const outcome of ['allowed', 'not_signed_in', 'not_allowed', 'target_malformed']) {
    t.ok(counted.has(`answer ${outcome}`), outcome)
  }
})

function sorted(answer: unknown): unknown {
  const { status, headers } = answer as { status: number, headers: Record<string, unknown> }
  // Pages name a correlation id, which is another one each time.
  return {
    status,
    headers: Object.entries(headers).filter(([name]) => status === 200 || name !== 'content-length').map((
      [name, value],
    ) => [name, String(value)]).sort(([a = ''], [b = '']) => a < b ? -1 : 1),
  }
}

t.test('only the exact paths of the endpoints, and only definite verdicts', async (t) => {
  const written: unknown[] = []
  const counted: unknown[] = []
  let full = true
  const grounds = { path: 'access.default', allow: 'authenticated', allows: '', description: '' } as const
  let verdict: FastPathVerdict | undefined | Error = {
    kind: 'allowed',
    headers: ['Vary', 'Cookie'],
    session: {} as never,
    grounds,
  }
  const meter = {
    answered: (...args: unknown[]) => {
      counted.push(args.slice(0, 2))
    },
    sessionLookups: { memory: 0, database: 0, none: 0, grace: 0 },
  }
  const endpoint = (path: string, query: 'refused' | 'ignored', plain401?: () => string[]) => ({
    path,
    query,
    readTarget: () => undefined,
    plain401,
  })
  const fastPath = createFastPath({
    endpoints: [
      endpoint('/oauth2/auth', 'refused', () => ['x-why', 'nobody']),
      endpoint('/oauth2/forward-auth', 'ignored'),
      endpoint('/oauth2/ext-authz/*', 'ignored'),
    ],
    authorizer: {
      authorizeCached: () => {
        if (verdict instanceof Error) throw verdict
        return verdict
      },
      groundsFor: () => grounds,
    },
    meter,
    counters: NOTHING_COUNTED.answers,
    shadows: { active: () => false, observe: () => {} },
    sample: NOTHING_SAMPLED,
    clientAddress: () => undefined,
    log: { alreadyFull: () => full },
  })
  const taken = (url: string): boolean =>
    fastPath({ url, headers: {} } as never, {
      writeHead: (...args: unknown[]) => {
        written.push(args)
      },
      end: () => {},
    } as never)
  t.strictSame(
    [
      '/oauth2/auth',
      '/oauth2/forward-auth',
      '/oauth2/forward-auth?x=%2f',
      '/oauth2/ext-authz/',
      '/oauth2/ext-authz/a?b',
    ].map(taken),
    [true, true, true, true, true],
  )
  t.strictSame(written.splice(0), Array.from({ length: 5 }, () => [200, ['Vary', 'Cookie']]))
  t.strictSame(counted, [['/oauth2/auth', 200], ['/oauth2/forward-auth', 200], ['/oauth2/forward-auth', 200], [
    '/oauth2/ext-authz/*',
    200,
  ], ['/oauth2/ext-authz/*', 200]])
  t.equal(meter.sessionLookups.memory, 5)
  t.strictSame(
    [
      '/',
      '/oauth2/auth?x',
      '/oauth2/auth/',
      '/oauth2/AUTH',
      '/oauth2/%61uth',
      '/oauth2/ext-authz',
      '/oauth2/userinfo',
      '/oauth2/auth#',
    ].map(taken),
    Array.from({ length: 8 }, () => false),
  )
  verdict = { kind: 'not_signed_in', grounds: undefined }
  t.strictSame(
    ['/oauth2/auth', '/oauth2/forward-auth', '/oauth2/ext-authz/a'].map(taken),
    [true, false, false],
    'a refusal that is the same for every client',
  )
  t.strictSame(written.splice(0), [[401, [
    'Cache-Control',
    'no-store',
    'Vary',
    'Cookie',
    'Content-Length',
    '0',
    'x-why',
    'nobody',
  ]]])
  full = false
  t.equal(taken('/oauth2/auth'), false, 'the refusal gets a log line of its own, which the route writes')
  verdict = undefined
  t.equal(taken('/oauth2/auth'), false)
  verdict = new Error('whatever')
  t.equal(taken('/oauth2/auth'), false)
  t.strictSame(
    { written, sessionLookups: meter.sessionLookups },
    { written: [], sessionLookups: { memory: 5, database: 0, none: 1, grace: 0 } },
  )
})

// proves: adv-request-read-once
t.test('one request is read once, for the fast path and the route together', async (t) => {
  const read: unknown[] = []
  const requestOf = () => ({ socket: { remoteAddress: '127.0.0.1' }, headers: {} }) as never
  const target = parseTargetUrl('https://app.test/', 'GET')
  const readTarget = fromTrustedPeers(
    (request) => {
      read.push(request)
      return target
    },
    () => true,
    { warn: () => {} },
  )
  const [first, second] = [requestOf(), requestOf()]
  t.strictSame([readTarget(first), readTarget(first), readTarget(second), readTarget(second)], [
    target,
    target,
    target,
    target,
  ])
  t.equal(read.length, 2)
  t.ok(read[0] === first && read[1] === second)
  const failing = fromTrustedPeers(
    (request) => {
      read.push(request)
      throw new Error('malformed')
    },
    () => true,
    { warn: () => {} },
  )
  for (let time = 0; time < 2; time++) {
    t.throws(() => failing(first), { message: 'malformed' }, 'a failure is found again')
  }
})

// proves: adv-anonymous-not-evaluated
t.test('an anonymous request is not evaluated where no rule of the host could allow it', async (t) => {
  const evaluated: unknown[] = []
  const policy = {
    ignoresTarget: false,
    decide: (question: unknown) => {
      evaluated.push(question)
      return {
        allow: true,
        grounds: { path: 'access.rules[0]', allow: 'anyone', allows: '', description: 'a host' },
      } as const
    },
    grounds: () => [],
    interpretations: () => [],
    mayLetAnyoneIn: (hostname: string) => hostname === 'open.test',
  }
  const nobody = { session: undefined, reason: 'not_signed_in' } as const
  const headers = { get: () => [], anonymous: () => [], getCached: () => [] }
  for (const read of [() => nobody, async () => nobody]) { // from memory, and from the database
    const authorizer = createAuthorizer({
      sessions: { resolve: read, resolveCached: () => 'anonymous' } as never,
      headers,
      inForce: () => ({ policy, shadows: undefined, headers: {} as never }),
      onUnnamedHost: () => {},
    })
    const verify = async (host: string) =>
      await authorizer.authorize({
        target: parseTargetUrl(`https://${host}/`, 'GET'),
        address: () => undefined,
        cookieHeader: undefined,
        client: () => ({ browser: null, address: null, host: null }),
      })
    t.match(await verify('closed.test'), { kind: 'not_signed_in', code: 'not_signed_in', grounds: undefined })
    t.match(authorizer.authorizeCached(parseTargetUrl('https://closed.test/', 'GET'), undefined), {
      kind: 'not_signed_in',
    })
    t.equal(evaluated.length, 0)
    t.match(await verify('open.test'), { kind: 'allowed' })
    t.equal(evaluated.splice(0).length, 1)
  }
})

t.test('a flood of requests without a session is counted in the log, not written out', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.guest)
  const began = gateway.log.length
  const from = Date.now()
  const flood = Array.from(
    { length: 400 },
    (_, number) => ({
      method: 'GET',
      url: '/oauth2/auth',
      headers: {
        'cookie': `gatehouse_session=forged${number}`,
        'x-original-url': 'https://app.test/',
        'x-original-method': 'GET',
      },
    }),
  )
  const answers = await Promise.all(flood.map((each) => overTheWire(gateway, each)))
  t.ok(answers.every((answer) => (answer as { status: number }).status === 401))
  t.match(answers.at(-1), {
    headers: { 'x-auth-request-redirect': `${gateway.url}/oauth2/start?rd=https%3A%2F%2Fapp.test%2F` },
  })
  t.equal(
    (await gateway.ask('/oauth2/auth', {
      browser,
      headers: { 'x-original-url': 'https://app.test/', 'x-original-method': 'GET' },
    })).status,
    200,
  )
  const deadline = Date.now() + 10_000
  const summed = () =>
    gateway.log.slice(began).reduce((sum, { requests }) => sum + (typeof requests === 'number' ? requests : 0), 0)
  const lines = () => gateway.log.slice(began).filter(({ status, code }) => status === 401 && code !== undefined).length
  while (summed() + lines() < 400 && Date.now() < deadline) await sleep(50)
  t.equal(summed() + lines(), 400, `${lines()} lines, ${summed()} counted`)
  const seconds = Math.ceil((Date.now() - from) / 1000) + 1
  // Of 50 lines a second strangers have 40; a line that the sign-in or a timer writes in the same second is one of
  // them.
  t.ok(lines() >= 30, `${lines()} lines`)
  t.ok(lines() <= 40 * seconds, `${lines()} lines in ${seconds} seconds`)
})
