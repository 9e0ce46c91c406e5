// One login at a time, with everything a test wants to know of it: the code on the page, what was asked of Entra and
// Graph, the log line, and which tables are no longer what they were.
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'drizzle-orm'
import { exportJWK, generateKeyPair, SignJWT, type JWK, type JWTHeaderParameters } from 'jose'
import type { Test } from 'tap'
import { FAILURES, RETRY_WITH_NEW_SIGN_IN, type ErrorCode } from '../../src/core/errors.js'
import { machineClock } from '../../src/core/siblings.js'
import type { AnswerFault } from '../../src/demo/entra/faults.js'
import { signInAs } from '../../src/demo/entra/sign-in-as.js'
import type { RecordedRequest } from '../../src/demo/entra/types.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import type { TestGateway } from '../helpers/gateway.js'

export const SAMPLES = new URL('../fixtures/entra-samples/', import.meta.url)

export type Json = Record<string, unknown>
export interface Envelope {
  status: number
  headers: Record<string, string>
  body: unknown
}

export function sample<T = Json>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, SAMPLES), 'utf8')) as T
}

/** A recorded answer, status, headers and body as they were. */
export function replay(name: string): AnswerFault {
  const { status, headers, body } = sample<Envelope>(name)
  return { kind: 'status', status, headers, body }
}

/** A login between its two steps. */
export interface Begun {
  readonly browser: Browser
  readonly authorizeUrl: string
  readonly state: string
  readonly nonce: string
}

export async function begin(gateway: TestGateway, browser: Browser = createBrowser()): Promise<Begun> {
  const { location = '' } = await browser.ask(`${gateway.url}/oauth2/start?rd=/after`)
  const { searchParams } = new URL(location)
  return {
    browser,
    authorizeUrl: location,
    state: searchParams.get('state') ?? '',
    nonce: searchParams.get('nonce') ?? '',
  }
}

export interface Outcome {
  readonly browser: Browser
  readonly status: number
  /** Of the error page; `signed in` where there is none. */
  readonly code: string
  /** Where the browser was sent to sign in once more, by itself. */
  readonly again: string | undefined
  readonly page: string
  readonly log: Readonly<Record<string, unknown>>
  readonly token: readonly RecordedRequest[]
  readonly keys: readonly RecordedRequest[]
  readonly graph: readonly RecordedRequest[]
  /** Tables whose rows are not the same, in number or content. */
  readonly changed: readonly string[]
  readonly ms: number
}

export interface AttemptOptions {
  readonly person?: string
  readonly browser?: Browser
  /** What goes wrong, once the nonce of this login is known. */
  readonly script?: (flow: Begun) => unknown
  /** In place of what Entra answers to the browser. */
  readonly callback?: (flow: Begun) => Readonly<Record<string, string>>
}

/**
 * The log takes five lines a second of one fault, and of refusals 40 (src/http/log-budget.ts): where a second has used
 * half of that, the next login waits for the next second.
 */
const LINES_A_SECOND = { faults: 3, all: 20 }
const seconds = new WeakMap<TestGateway, { readonly second: number, readonly linesBefore: number, faults: number }>()
const secondNow = () => Math.floor(machineClock() / 1000) // the clock of the log's own seconds

function thisSecond(gateway: TestGateway): { readonly second: number, readonly linesBefore: number, faults: number } {
  const known = seconds.get(gateway)
  if (known?.second === secondNow()) return known
  const begun = { second: secondNow(), linesBefore: gateway.log.length, faults: 0 }
  seconds.set(gateway, begun)
  return begun
}

async function untilLogged(gateway: TestGateway): Promise<void> {
  const { second, linesBefore, faults } = thisSecond(gateway)
  if (faults < LINES_A_SECOND.faults && gateway.log.length - linesBefore < LINES_A_SECOND.all) return
  while (secondNow() === second) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** A whole login over HTTP. */
export async function attempt(
  gateway: TestGateway,
  { person = PERSON_IDS.staff, browser, script, callback }: AttemptOptions = {},
): Promise<Outcome> {
  await untilLogged(gateway)
  const before = await snapshot(gateway)
  const from = gateway.entra.requests.length
  const flow = await begin(gateway, browser)
  await script?.(flow)
  const back = callback
    ? `${gateway.url}/oauth2/callback?${new URLSearchParams(callback(flow))}`
    : (await signInAs(flow.authorizeUrl, person)).location ?? ''
  const started = performance.now()
  const answer = await flow.browser.ask(back)
  const ms = performance.now() - started
  if (answer.status >= 500) thisSecond(gateway).faults++
  const after = await snapshot(gateway)
  const asked = gateway.entra.requests.slice(from)
  const field = (name: string) => new RegExp(`data-field="${name}">([^<]*)<`).exec(answer.text)?.[1]
  const again = answer.location?.startsWith(`${gateway.entra.url}/`) ? answer.location : undefined
  const correlation = field('correlation')
  const log =
    gateway.log.findLast((line) =>
      String(line.msg).startsWith('login failed') && (again !== undefined || line.correlationId === correlation)
    ) ?? {}
  return {
    browser: flow.browser,
    status: answer.status,
    code: answer.location === `${gateway.url}/after`
      ? 'signed in'
      : again === undefined
      ? field('code') ?? 'no code'
      : String(log.code),
    again,
    page: answer.text,
    log,
    token: asked.filter(({ server, path }) => server === 'login' && path.endsWith('/token')),
    keys: asked.filter(({ server, path }) => server === 'login' && path.endsWith('/keys')),
    graph: asked.filter(({ server }) => server === 'graph'),
    changed: Object.keys(after).filter((table) => after[table] !== before[table]),
    ms,
  }
}

const TABLES = ['users', 'identities', 'user_groups', 'entra_readings', 'sessions', 'spent_flows', 'audit_events']

/** Number and content of the rows of every table that a login writes. */
async function snapshot({ gateway }: TestGateway): Promise<Record<string, string>> {
  const columns = TABLES.map((table) =>
    sql`(select count(*) || ':' || coalesce(md5(string_agg(row::text, ' ' order by row::text)), '') from ${
      sql.identifier(table)
    } as row) as ${sql.identifier(table)}`
  )
  const { rows: [row] } = await gateway.database.ask((db) =>
    db.execute<Record<string, string>>(sql`select ${sql.join(columns, sql`, `)}`)
  )
  return row ?? {}
}

export interface Counts {
  readonly token?: number
  readonly keys?: number
  readonly graph?: number
}

/** Refused under this code, with its status, and nothing is otherwise than before. */
export function refused(t: Test, outcome: Outcome, code: ErrorCode, counts: Counts = {}): void {
  t.equal(outcome.code, code)
  t.equal(
    outcome.again !== undefined,
    RETRY_WITH_NEW_SIGN_IN.has(code),
    'sent to sign in again where that may help',
  )
  t.equal(outcome.status, outcome.again === undefined ? FAILURES[code].status : 302)
  t.strictSame(outcome.changed, [], 'nothing was written')
  t.notOk(outcome.browser.cookieHeader('http://127.0.0.1/').includes('gatehouse_session'), 'no session')
  t.equal(outcome.log.code, code, 'the log names it too')
  counted(t, outcome, counts)
}

export function signedIn(t: Test, outcome: Outcome, counts: Counts = {}): void {
  t.equal(outcome.code, 'signed in')
  if (outcome.code !== 'signed in') t.comment(JSON.stringify(outcome.log))
  t.ok(
    ['entra_readings', 'sessions', 'spent_flows', 'audit_events'].every((table) => outcome.changed.includes(table)),
    'the login was written',
  )
  counted(t, outcome, counts)
}

function counted(t: Test, outcome: Outcome, counts: Counts): void {
  for (const kind of ['token', 'keys', 'graph'] as const) {
    if (counts[kind] !== undefined) t.equal(outcome[kind].length, counts[kind], `${counts[kind]} requests to ${kind}`)
  }
}

/** The Entra groups that the last login of a person recorded, sorted. */
export async function recordedGroups({ gateway }: TestGateway, oid: string = PERSON_IDS.staff): Promise<string[]> {
  const { rows: [row] } = await gateway.database.ask((db) =>
    db.execute<{ ids: string[] }>(
      sql`select array(select unnest(group_ids)::text order by 1) as ids from entra_readings join identities using
        (user_id) where oid = ${oid}`,
    )
  )
  return row?.ids ?? []
}

/**
 * A signing key of the test's own: it takes the place of the tenant's, so that a token can be wrong in exactly one
 * thing.
 */
export interface TestKey {
  readonly jwk: JWK
  sign(claims: Json, header?: Partial<JWTHeaderParameters>): Promise<string>
}

export async function createTestKey(kid: string): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  return {
    jwk: { ...await exportJWK(publicKey), kid, use: 'sig' },
    sign: (claims, header = {}) =>
      new SignJWT(claims).setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid, ...header }).sign(privateKey),
  }
}

/**
 * What a member's token says, from the recording; issuer, nonce and times are those of this run, the rest is verbatim.
 */
export function claimsOfRun(gateway: TestGateway, nonce: string, name = 'id-token-claims-v2-member.json'): Json {
  const seconds = Math.floor(Date.now() / 1000)
  return {
    ...sample(name),
    iss: `${gateway.entra.url}/${DEMO_TENANT_ID}/v2.0`,
    nonce,
    iat: seconds - 300,
    nbf: seconds - 300,
    exp: seconds + 3600,
  }
}

export const tokenAnswer = (idToken: string | undefined): AnswerFault => ({
  kind: 'body',
  body: {
    token_type: 'Bearer',
    expires_in: 3599,
    access_token: 'opaque-access-token',
    ...(idToken === undefined ? {} : { id_token: idToken }),
  },
})

export { DEMO_CLIENT_ID, DEMO_TENANT_ID }

export interface Trap {
  readonly url: string
  readonly arrived: {
    readonly what: string
    readonly headers: IncomingHttpHeaders
    readonly from: number | undefined
  }[]
}

/** A server that nobody may come to; also a forward proxy, which shows who came. */
export async function startTrap(
  t: Test,
  answer?: (number: number) => { status: number, headers?: Record<string, string>, body: string },
): Promise<Trap> {
  const arrived: Trap['arrived'] = []
  const server = createServer((request, response) => {
    arrived.push({
      what: `${request.method} ${request.url}`,
      headers: request.headers,
      from: request.socket.remotePort,
    })
    request.resume()
    const { status, headers = {}, body } = answer?.(arrived.length) ?? { status: 418, body: 'nobody should come here' }
    response.writeHead(status, headers).end(body)
  })
  server.on('connect', (request, socket) => {
    arrived.push({ what: `CONNECT ${request.url}`, headers: request.headers, from: undefined })
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() =>
    new Promise((resolve) => {
      server.close(resolve)
      server.closeAllConnections()
    })
  )
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, arrived }
}

const PROXIES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'] as const

/** These proxies and no others, for what is created until the test ends. */
export function setProxies(
  t: Test,
  proxies: Readonly<Partial<Record<'HTTP_PROXY' | 'HTTPS_PROXY' | 'NO_PROXY', string>>>,
): void {
  const before = PROXIES.map((name) => [name, process.env[name]] as const)
  for (const name of PROXIES) delete process.env[name]
  Object.assign(process.env, proxies)
  t.teardown(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
}
