// One table for every proxy's dialect: method x client x session x rule -> status, Location, headers. What comes out is
// also the table of docs/forward-auth.md, which this run makes and compares (GATEHOUSE_WRITE_DOCS=1 writes it).
import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import t from 'tap'
import { IDENTITY_HEADERS } from '../../../src/core/identity-headers.js'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { NAVIGATION } from '../../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { connect } from '../../helpers/sql.js'

const PAGE = 'docs/forward-auth.md'
const HOST = 'app.test'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'] as const
const CLIENTS: Readonly<Record<string, Record<string, string>>> = {
  'a page load': NAVIGATION,
  'an older browser': { accept: 'text/html,*/*' },
  'curl': { accept: '*/*' },
  'a program': { accept: 'application/json' },
  'fetch': { 'accept': 'text/html', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
  'XMLHttpRequest': { 'accept': 'text/html', 'x-requested-with': 'XMLHttpRequest' },
  'an iframe': { ...NAVIGATION, 'sec-fetch-dest': 'iframe' },
  'a WebView': { ...NAVIGATION, 'x-requested-with': 'com.example.app' },
  'htmx': { 'accept': 'text/html', 'hx-request': 'true' },
  'Turbo': { 'accept': 'text/html', 'turbo-frame': 'list' },
  'a WebSocket': { 'accept': 'text/html', 'upgrade': 'websocket', 'sec-fetch-mode': 'websocket' },
}
const RULES: Readonly<Record<string, string>> = {
  anyone: '/open/x',
  authenticated: '/plain?a=1&b=%20',
  staff: '/staff/x',
  deny: '/none/x',
  malformed: '/x%zz',
}
const SESSIONS = ['anonymous', 'a person', 'staff', 'a superuser', 'somebody deactivated'] as const
type Session = typeof SESSIONS[number]

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}
interface Question {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}
interface Dialect {
  readonly name: string
  readonly gateway: () => TestGateway
  ask(question: Question): Promise<Answer>
}

const agent = new Agent({ keepAlive: true, maxSockets: 4 })
t.teardown(() => agent.destroy())

function http(url: string, method: string, headers: Readonly<Record<string, string>>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent, method, headers: { ...headers } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      }).on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    asked.on('error', reject).end()
  })
}

const original = ({ method, path }: Question) => ({
  'x-original-url': `https://${HOST}${path}`,
  'x-original-method': method,
})
const forwarded = ({ method, path }: Question) => ({
  'x-forwarded-proto': 'https',
  'x-forwarded-host': HOST,
  'x-forwarded-uri': path,
  'x-forwarded-method': method,
})

const ACCESS = {
  rules: [
    { hosts: [HOST], paths: ['/open/**'], allow: 'anyone' },
    { hosts: [HOST], paths: ['/staff', '/staff/**'], allow: { staff: true } },
    { hosts: [HOST], paths: ['/none/**'], allow: 'deny' },
  ],
}

t.test('every dialect', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { access: ACCESS, server: { contact: 'it-help@example.com' }, log: { budget: 10_000 } },
  })
  const query = await connect(t, gateway.databaseUrl)
  const cookies = await signEverybodyIn(gateway, query)
  const dialects: readonly Dialect[] = [
    {
      name: '/oauth2/auth',
      gateway: () => gateway,
      ask: (question) => http(`${gateway.url}/oauth2/auth`, 'GET', { ...question.headers, ...original(question) }),
    },
    {
      name: '/oauth2/forward-auth',
      gateway: () => gateway,
      ask: (question) =>
        http(`${gateway.url}/oauth2/forward-auth`, 'GET', { ...question.headers, ...forwarded(question) }),
    },
    {
      name: '/oauth2/ext-authz',
      gateway: () => gateway,
      ask: (question) =>
        http(`${gateway.url}/oauth2/ext-authz${question.path}`, question.method, {
          ...question.headers,
          'host': HOST,
          'x-forwarded-proto': 'https',
        }),
    },
  ]
  const question = (method: string, rule: string, client: string, session: Session): Question => ({
    method,
    path: RULES[rule] ?? '',
    headers: { ...CLIENTS[client], ...(cookies[session] === undefined ? {} : { cookie: cookies[session] ?? '' }) },
  })

  for (const dialect of dialects) {
    await t.test(`${dialect.name} answers every mix of user, target and method in its own format`, async (t) => {
      let asked = 0
      for (const session of SESSIONS) {
        for (const [rule, path] of Object.entries(RULES)) {
          for (const client of Object.keys(CLIENTS)) {
            for (const method of METHODS) {
              const answer = await dialect.ask(question(method, rule, client, session))
              const wrong = complaint(answer, expected(dialect.name, verdict(session, rule), client, method), {
                url: `https://${HOST}${path}`,
                publicUrl: gateway.url,
                session,
                method,
                rule,
              })
              if (wrong !== undefined) {
                t.fail(`${method} ${rule} by ${session} with ${client}: ${wrong} (${answer.status})`)
              }
              asked++
            }
          }
        }
      }
      t.equal(asked, SESSIONS.length * Object.keys(RULES).length * Object.keys(CLIENTS).length * METHODS.length)
    })
  }

  // proves: adv-json-detail
  await t.test('a refusal shows account, rule, admitted groups, contact, account switch and reference', async (t) => {
    for (const dialect of dialects.slice(1)) {
      const page = await dialect.ask(question('GET', 'staff', 'a page load', 'a person'))
      for (
        const part of [
          'gus.guest@fabrikam.example',
          'access.rules[1]',
          'staff, superusers',
          'it-help@example.com',
          'Use another account',
          'not_allowed',
        ]
      ) t.match(page.text, part, part)
      t.match(page.text, /data-field="correlation">[0-9a-f-]{36}</)
      t.match(
        page.text,
        `${gateway.url}/oauth2/start?rd=${encodeURIComponent(`https://${HOST}/staff/x`)}&#38;prompt=select_account`,
      )
      t.match(JSON.parse((await dialect.ask(question('GET', 'staff', 'a program', 'a person'))).text), {
        error: 'not_allowed',
        username: 'gus.guest@fabrikam.example',
        rule: 'access.rules[1]',
        allows: 'staff, superusers',
        contact: 'it-help@example.com',
        correlation_id: String,
        sign_in: String,
      })
      const refusal = JSON.parse((await dialect.ask(question('GET', 'staff', 'a program', 'a person'))).text) as Record<
        string,
        unknown
      >
      t.equal(refusal.detail, refusal.message, 'scripts of applications show `detail`')
      t.match(JSON.parse((await dialect.ask(question('GET', 'staff', 'a program', 'anonymous'))).text), {
        error: 'not_signed_in',
        sign_in: `${gateway.url}/oauth2/start?rd=${encodeURIComponent(`https://${HOST}/staff/x`)}`,
        correlation_id: String,
      })
    }
    t.match(gateway.log.filter(({ msg }) => msg === 'access denied').at(-2), {
      code: 'not_allowed',
      username: 'gus.guest@fabrikam.example',
      rule: 'access.rules[1]',
      allows: 'staff, superusers',
      host: HOST,
      path: '/staff/x',
    })
  })

  // proves: adv-refusal-logged-once
  await t.test('a refusal that nginx requests twice is logged once, with the reference on the page', async (t) => {
    const lines = () => gateway.log.filter(({ msg }) => msg === 'access denied' || msg === 'forward-auth refused')
    for (
      const [session, rule, status, shown] of [['a person', 'staff', 403, 403], [
        'anonymous',
        'staff',
        401,
        302,
      ]] as const
    ) {
      const asked = question('GET', rule, 'a page load', session)
      const before = lines().length
      const unlogged = '/oauth2/auth?refusals=unlogged'
      const first = await http(`${gateway.url}${unlogged}`, 'GET', { ...asked.headers, ...original(asked) })
      t.equal(first.status, status, session)
      t.equal(lines().length, before, 'no line of the question')
      const second = await http(`${gateway.url}/oauth2/forward-auth`, 'GET', { ...asked.headers, ...forwarded(asked) })
      t.equal(second.status, shown, session)
      t.equal(lines().length, before + 1, 'one of the answer')
      if (shown === 403) t.match(second.text, String(lines().at(-1)?.correlationId), 'the page has its reference')
    }
    const allowed = question('GET', 'anyone', 'a page load', 'anonymous')
    const other = (query: string) =>
      http(`${gateway.url}/oauth2/auth${query}`, 'GET', { ...allowed.headers, ...original(allowed) })
    t.equal((await other('?refusals=unlogged')).status, 200)
    for (
      const query of [
        '?refusals=logged',
        '?refusals=unlogged&allowed_groups=x',
        '?allowed_groups=x',
        '?REFUSALS=unlogged',
      ]
    ) {
      t.equal((await other(query)).status, 403, query)
    }
  })

  const special: [string, ...string[]][] = []
  await t.test('what is wrong with the question itself', async (t) => {
    const signedIn = { ...CLIENTS['a page load'], cookie: cookies.staff ?? '' }
    const row = async (name: string, answers: readonly (Promise<Answer> | undefined)[], ...statuses: number[]) => {
      const got = await Promise.all(answers.map(async (answer) => answer && String((await answer).status)))
      t.strictSame(got.filter((each) => each !== undefined), statuses.map(String), name)
      special.push([name, ...got.map((each) => each ?? '')])
    }
    const plain: Question = { method: 'GET', path: '/plain', headers: signedIn }
    const asking = (change: Partial<Question>) => dialects.map((dialect) => dialect.ask({ ...plain, ...change }))
    await row('a path with `%00`', asking({ path: '/a%00' }), 403, 400, 400)
    await row(
      'an encoded control character in the path (`%0a`, `%c2%85`)',
      asking({ path: '/plain%0a' }),
      403,
      400,
      400,
    )
    await row('a lone `%` in the query', asking({ path: '/plain?a=%' }), 200, 200, 200)
    await row('`..%2f` in a path that leads to a closed one', asking({ path: '/plain/..%2fnone/x' }), 403, 403, 403)
    await row(
      'a method that is no token',
      [
        http(`${gateway.url}/oauth2/auth`, 'GET', { ...signedIn, ...original(plain), 'x-original-method': 'G,T' }),
        http(`${gateway.url}/oauth2/forward-auth`, 'GET', {
          ...signedIn,
          ...forwarded(plain),
          'x-forwarded-method': 'G,T',
        }),
        undefined,
      ],
      403,
      400,
    )
    await row(
      'hosts joined by a comma',
      [
        http(`${gateway.url}/oauth2/auth`, 'GET', {
          ...signedIn,
          'x-original-url': 'https://a.test,b.test/',
          'x-original-method': 'GET',
        }),
        http(`${gateway.url}/oauth2/forward-auth`, 'GET', {
          ...signedIn,
          ...forwarded(plain),
          'x-forwarded-host': 'a.test, b.test',
        }),
        http(`${gateway.url}/oauth2/ext-authz/plain`, 'GET', {
          ...signedIn,
          'host': 'a.test,b.test',
          'x-forwarded-proto': 'https',
        }),
      ],
      403,
      400,
      400,
    )
    await row(
      'another scheme than http, https, ws, wss',
      [
        http(`${gateway.url}/oauth2/auth`, 'GET', {
          ...signedIn,
          'x-original-url': 'gopher://a.test/',
          'x-original-method': 'GET',
        }),
        http(`${gateway.url}/oauth2/forward-auth`, 'GET', {
          ...signedIn,
          ...forwarded(plain),
          'x-forwarded-proto': 'gopher',
        }),
        http(`${gateway.url}/oauth2/ext-authz/plain`, 'GET', {
          ...signedIn,
          'host': HOST,
          'x-forwarded-proto': 'gopher',
        }),
      ],
      403,
      400,
      400,
    )
    await row(
      'the proxy does not say what was asked for, and there are rules',
      [
        http(`${gateway.url}/oauth2/auth`, 'GET', signedIn),
        http(`${gateway.url}/oauth2/forward-auth`, 'GET', signedIn),
        undefined,
      ],
      401,
      401,
    )
    await row(
      'two session cookies',
      asking({ headers: { ...CLIENTS['a program'], cookie: `${cookies.staff}; ${cookies.staff}` } }),
      401,
      401,
      401,
    )
    await row(
      'a query on the endpoint itself',
      [
        http(`${gateway.url}/oauth2/auth?allowed_groups=x`, 'GET', { ...signedIn, ...original(plain) }),
        http(`${gateway.url}/oauth2/forward-auth?x=1`, 'GET', { ...signedIn, ...forwarded(plain) }),
        undefined,
      ],
      403,
      200,
    )
    t.ok(
      gateway.log.some(({ code, remedy }) => code === 'target_missing' && /X-Original-URL/.test(String(remedy))),
      'the log says what the proxy must send',
    )
    const long = `/plain/${'x'.repeat(4_000)}/y`
    t.equal((await dialects[2]?.ask({ ...plain, path: long }))?.status, 200, 'a long path is a path like any other')
    t.equal(
      (await http(`${gateway.url}/`, 'GET', { ...signedIn, ...forwarded({ ...plain, path: '/none/x' }) })).status,
      403,
      'a question that is asked at / is answered as one',
    )
    await query('alter table sessions rename to sessions_gone')
    await row(
      'the store cannot be asked (beyond `session.outageGrace`)',
      dialects.map((dialect) =>
        dialect.ask({ ...plain, headers: { ...CLIENTS['a program'], cookie: cookies.stranger ?? '' } })
      ),
      503,
      503,
      503,
    )
    await query('alter table sessions_gone rename to sessions')
  })

  await t.test('docs/forward-auth.md has the table', async (t) => {
    const rows: [string, string, string, ...string[]][] = []
    const cases: [Session, string, string, string][] = [
      ['anonymous', 'authenticated', 'a page load', 'GET'],
      ['anonymous', 'authenticated', 'a page load', 'POST'],
      ['anonymous', 'authenticated', 'a program', 'GET'],
      ['anonymous', 'authenticated', 'fetch', 'GET'],
      ['anonymous', 'authenticated', 'an iframe', 'GET'],
      ['anonymous', 'authenticated', 'a WebView', 'GET'],
      ['anonymous', 'authenticated', 'htmx', 'GET'],
      ['a person', 'staff', 'htmx', 'GET'],
      ['anonymous', 'authenticated', 'a WebSocket', 'GET'],
      ['anonymous', 'anyone', 'a page load', 'GET'],
      ['a person', 'authenticated', 'a page load', 'GET'],
      ['a person', 'authenticated', 'a program', 'DELETE'],
      ['a person', 'staff', 'a page load', 'GET'],
      ['a person', 'staff', 'a program', 'GET'],
      ['staff', 'staff', 'a page load', 'GET'],
      ['staff', 'deny', 'a page load', 'GET'],
      ['a superuser', 'deny', 'a page load', 'GET'],
      ['somebody deactivated', 'authenticated', 'a page load', 'GET'],
      ['a superuser', 'malformed', 'a page load', 'GET'],
    ]
    for (const [session, rule, client, method] of cases) {
      rows.push([
        session,
        `${method}, ${rule}`,
        client,
        ...await Promise.all(
          dialects.map(async (dialect) => describe(await dialect.ask(question(method, rule, client, session)))),
        ),
      ])
    }
    const table = (head: readonly string[], lines: readonly (readonly string[])[]) =>
      [head, head.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n')
    const made = `${table(['who', 'method, rule', 'client', ...dialects.map(({ name }) => `\`${name}\``)], rows)}\n\n${
      table(['the question', ...dialects.map(({ name }) => `\`${name}\``)], special)
    }`
    const page = readFileSync(PAGE, 'utf8')
    const [before = '', after = ''] = [page.split('<!-- table -->')[0], page.split('<!-- end -->')[1]]
    const whole = `${before}<!-- table -->\n\n${made}\n\n<!-- end -->${after}`
    if (process.env.GATEHOUSE_WRITE_DOCS) writeFileSync(PAGE, whole)
    t.equal(
      readFileSync(PAGE, 'utf8'),
      whole,
      'GATEHOUSE_WRITE_DOCS=1 node scripts/test.mjs test/http/forward-auth/dialects.test.ts',
    )
  })
})

t.test('/oauth2/auth reads X-Forwarded-* instead if configured, and never both', async (t) => {
  const gateway = await startTestGateway(t, { config: { access: ACCESS, server: { authRequestHeaders: 'forwarded' } } })
  const ask = (headers: Record<string, string>) =>
    http(`${gateway.url}/oauth2/auth`, 'GET', { ...CLIENTS.curl, ...headers })
  const open: Question = { method: 'GET', path: '/open/x', headers: {} }
  t.equal((await ask(forwarded(open))).status, 200)
  t.equal((await ask(original(open))).status, 401)
  t.equal((await ask({ ...original(open), ...forwarded({ ...open, path: '/staff' }) })).status, 401)
  t.equal((await ask({ ...forwarded(open), 'x-original-url': 'nonsense' })).status, 200)
})

async function signEverybodyIn(
  gateway: TestGateway,
  query: Awaited<ReturnType<typeof connect>>,
): Promise<Readonly<Record<string, string | undefined>>> {
  const cookie = async (person: string) => (await gateway.signIn(person)).browser.cookieHeader(gateway.url)
  const [person, staff, superuser, gone, stranger] = [
    await cookie(PERSON_IDS.guest),
    await cookie(PERSON_IDS.staff),
    await cookie(PERSON_IDS.superuser),
    await cookie(PERSON_IDS.nobody),
    await cookie(PERSON_IDS.nested),
  ]
  await query(
    "update users set is_active = false where username like 'nob%' or username like 'no.%' or name ilike '%nobody%'",
  )
  const [{ count } = { count: '0' }] = await query<{ count: string }>('select count(*) from users where not is_active')
  if (count !== '1') throw new Error(`${count} users are deactivated`)
  return { 'a person': person, staff, 'a superuser': superuser, 'somebody deactivated': gone, stranger }
}

type Verdict = 'pass' | 'sign in' | 'no' | 'malformed'

/** By the contract alone. */
function verdict(session: Session, rule: string): Verdict {
  if (rule === 'malformed') return 'malformed'
  if (rule === 'anyone') return 'pass'
  if (session === 'anonymous' || session === 'somebody deactivated') return 'sign in'
  if (session === 'a superuser' || rule === 'authenticated') return 'pass'
  return rule === 'staff' && session === 'staff' ? 'pass' : 'no'
}

function expected(dialect: string, outcome: Verdict, client: string, method: string): number {
  const navigates = ['a page load', 'an older browser', 'a WebView'].includes(client)
  if (dialect === '/oauth2/auth') return { pass: 200, 'sign in': 401, no: 403, malformed: 403 }[outcome]
  if (outcome === 'sign in' && navigates) return method === 'GET' || method === 'HEAD' ? 302 : 303
  return { pass: 200, 'sign in': 401, no: 403, malformed: 400 }[outcome]
}

/** What is wrong with an answer, if anything. */
function complaint(
  { status, headers, text }: Answer,
  wanted: number,
  { url, publicUrl, session, method, rule }: {
    url: string
    publicUrl: string
    session: Session
    method: string
    rule: string
  },
): string | undefined {
  if (status !== wanted) return `expected ${wanted}`
  if (headers['cache-control'] !== 'no-store' || !/\bcookie\b/i.test(String(headers.vary))) return 'it may be cached'
  if (headers['set-cookie'] !== undefined) return 'it sets a cookie'
  const identity = IDENTITY_HEADERS.map((name) => headers[name.toLowerCase()])
  if (status === 200 ? identity.includes(undefined) : identity.some((value) => value !== undefined)) {
    return 'identity headers'
  }
  if (status === 200) {
    const someone = session !== 'anonymous' && session !== 'somebody deactivated'
    if ((headers['remote-user'] !== '') !== someone || (headers['x-gatehouse-assertion'] !== '') !== someone) {
      return 'another identity'
    }
    if (headers['x-auth-request-superuser'] !== String(session === 'a superuser')) return 'another flag'
    return text === '' ? undefined : 'it has a body'
  }
  const signIn = `${publicUrl}/oauth2/start?rd=${encodeURIComponent(url)}`
  if (status === 302 || status === 303) return headers.location === signIn ? undefined : `Location ${headers.location}`
  if (status === 401 && !/^Cookie realm="/.test(String(headers['www-authenticate']))) return 'no challenge'
  if (
    status === 401 && headers['x-auth-request-redirect'] !== undefined && headers['x-auth-request-redirect'] !== signIn
  ) return 'another sign-in address'
  if (headers.location !== undefined) return 'a Location'
  return text.includes('at Object.') || (method !== 'HEAD' && rule === 'malformed' && text.includes('%zz'))
    ? 'it says too much'
    : undefined
}

function describe({ status, headers, text }: Answer): string {
  const parts = [String(status)]
  if (headers.location !== undefined) parts.push('to the sign-in')
  if (headers['hx-refresh'] !== undefined) parts.push('`HX-Refresh`')
  if (headers['x-auth-request-redirect'] !== undefined) parts.push('`X-Auth-Request-Redirect`')
  if (status === 200) parts.push('identity headers')
  else if (text !== '') parts.push(text.startsWith('<!doctype') ? 'page' : 'JSON')
  return parts.join(', ')
}
