// The fault matrix: everything the simulated Entra ID and Graph can do wrong, at every place where it matters. What
// comes of each is a line of docs/faults.md; this run makes the page and compares (GATEHOUSE_WRITE_DOCS=1 writes it).
import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { FAILURES, type ErrorCode } from '../../src/core/errors.js'
import type { Fault, FaultEntry, Forgery } from '../../src/demo/entra/faults.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import type { Browser } from '../helpers/browser.js'
import { startTestGateway, type TestGateway } from '../helpers/gateway.js'
import { attempt, sample } from './helper.js'

const PAGE = 'docs/faults.md'
const GROUP = '#microsoft.graph.group'
const GENERIC: readonly ErrorCode[] = ['internal', 'step_failed', 'request_malformed', 'not_found']

type Cause = readonly [name: string, fault: Fault]
const graphError = (status: number, code: string): Fault => ({
  kind: 'status',
  status,
  body: { error: { code, message: 'no', innerError: {} } },
})

/** Once means: the next request is answered properly. */
const ONCE: readonly Cause[] = [
  ['429 without Retry-After, once', { kind: 'throttle' }],
  ['429 for a moment, once', { kind: 'throttle', retryAfter: '0.2' }],
  ['503, once', { kind: 'throttle', status: 503 }],
  ['504 with a web page, once', { kind: 'html', status: 504 }],
  ['connection reset, once', { kind: 'reset' }],
  ['answer cut in the middle, once', { kind: 'cut' }],
  ['page token expired, once', {
    kind: 'status',
    status: 400,
    body: { error: { code: 'Directory_ExpiredPageToken', message: 'x' } },
  }],
  ['query not supported, once', {
    kind: 'status',
    status: 400,
    body: { error: { code: 'Request_UnsupportedQuery', message: 'x' } },
  }],
  ['empty page with a next link, once', { kind: 'emptyPage' }],
]

/** At every request from then on. */
const LASTING: readonly Cause[] = [
  ['400', graphError(400, 'Request_BadRequest')],
  ['401', graphError(401, 'InvalidAuthenticationToken')],
  ['401 with a claims challenge', { kind: 'status', ...sample('graph-error-401-cae.json') as { status: number } }],
  ['403', graphError(403, 'Authorization_RequestDenied')],
  ['404', graphError(404, 'Request_ResourceNotFound')],
  ['429 for two minutes', { kind: 'throttle', retryAfter: '120' }],
  ['500', graphError(500, 'InternalServerError')],
  ['503', { kind: 'throttle', status: 503 }],
  ['504', { kind: 'html', status: 504 }],
  ['page token expired', {
    kind: 'status',
    status: 400,
    body: { error: { code: 'Directory_ExpiredPageToken', message: 'x' } },
  }],
  ['connection reset', { kind: 'reset' }],
  ['answer cut in the middle', { kind: 'cut' }],
  ['no answer', { kind: 'hang' }],
  ['answer after 30 seconds', { kind: 'slow', ms: 30_000 }],
  ['204', { kind: 'status', status: 204 }],
  ['a redirect', { kind: 'status', status: 302, headers: { location: 'http://127.0.0.1:9/' } }],
  ['a web page', { kind: 'html' }],
  ['half a JSON', { kind: 'status', status: 200, body: '{"value":[' }],
  ['no `value`', { kind: 'body', body: {} }],
  ['`value` that is no list', { kind: 'body', body: { value: {} } }],
  ['an element without type', { kind: 'body', body: { value: [{ id: '00000000-0000-4000-8000-000000000000' }] } }],
  ['an element without object ID', { kind: 'body', body: { value: [{ '@odata.type': GROUP, id: 'Admins' }] } }],
  ['a body of 64 MB', { kind: 'hugeBody' }],
  ['next link to another host', { kind: 'foreignNextLink', origin: 'https://graph.microsoft.com.evil.example' }],
  ['next link in a circle', { kind: 'loopingNextLink' }],
]

const FORGERIES: Readonly<Record<Forgery, string>> = {
  'none': 'alg none',
  'hs256-public-key': 'HS256 with the public key',
  'unregistered-key': 'a wrong key under a known kid',
  'unknown-kid': 'an unknown kid',
  'embedded-jwk': 'a key of its own in the header',
  'truncated': 'truncated',
}
const claim = (
  name: string,
  change: (claims: Record<string, unknown>) => void,
): Cause => [`id token: ${name}`, { kind: 'mutateClaims', change }]
const AADSTS = [
  50011,
  50020,
  50034,
  50053,
  50057,
  50058,
  50074,
  50076,
  50079,
  50105,
  50126,
  50128,
  50131,
  50155,
  50173,
  50194,
  50196,
  500011,
  500212,
  501481,
  53000,
  53001,
  53002,
  53003,
  53004,
  53011,
  530035,
  54005,
  65001,
  65004,
  65005,
  650052,
  650056,
  650057,
  70000,
  70008,
  70011,
  70021,
  70043,
  700005,
  700016,
  700021,
  700023,
  700024,
  700027,
  700082,
  700211,
  700212,
  700213,
  7000112,
  7000215,
  7000218,
  7000222,
  1000502,
  90002,
  90006,
  90012,
  90024,
  90033,
  90038,
  90055,
  90072,
  90094,
  90095,
  900144,
  900382,
  901002,
  90008,
  90009,
  9002313,
  9002325,
  9002326,
  9002327,
]

const TOKEN: readonly Cause[] = [
  ...AADSTS.map((
    code,
  ): Cause => [`AADSTS${code}`, {
    kind: 'status',
    status: 400,
    body: {
      error: 'invalid_grant',
      error_codes: [code],
      error_description: `AADSTS${code}: x`,
      correlation_id: '22b3bb26-e046-42df-9c96-65dbd72c1c81',
      trace_id: '22b3bb26-e046-42df-9c96-65dbd72c1c82',
    },
  }]),
  ['an unknown AADSTS code', {
    kind: 'status',
    status: 400,
    body: { error: 'invalid_grant', error_codes: [12345], error_description: 'AADSTS12345: x' },
  }],
  ['429', { kind: 'throttle' }],
  ['500', { kind: 'status', status: 500 }],
  ['503 with a web page', { kind: 'html', status: 503 }],
  ['a web page', { kind: 'html' }],
  ['no tokens in it', { kind: 'body', body: {} }],
  ['no id token', { kind: 'dropIdToken' }],
  ['connection reset', { kind: 'reset' }],
  ['answer cut in the middle', { kind: 'cut' }],
  ['no answer', { kind: 'hang' }],
  ['a body of 64 MB', { kind: 'hugeBody' }],
  ...(Object.keys(FORGERIES) as Forgery[]).map((
    how,
  ): Cause => [`id token: ${FORGERIES[how]}`, { kind: 'signWith', how }]),
  claim('another issuer', (claims) => {
    claims.iss = 'https://login.microsoftonline.com/other/v2.0'
  }),
  claim('another audience', (claims) => {
    claims.aud = '00000000-0000-4000-8000-000000000000'
  }),
  claim('two audiences', (claims) => {
    claims.aud = [claims.aud, 'x']
  }),
  claim('another tenant', (claims) => {
    claims.tid = '00000000-0000-4000-8000-000000000000'
  }),
  claim('another nonce', (claims) => {
    claims.nonce = 'of another sign-in'
  }),
  claim('no nonce', (claims) => {
    delete claims.nonce
  }),
  claim('expired', (claims) => {
    claims.exp = 1_700_000_000
  }),
  claim('not valid yet', (claims) => {
    claims.nbf = 4_000_000_000
  }),
  claim('of version 1.0', (claims) => {
    claims.ver = '1.0'
  }),
  claim('no object ID', (claims) => {
    delete claims.oid
  }),
]

const KEYS: readonly Cause[] = [
  ['500', { kind: 'status', status: 500 }],
  ['a web page', { kind: 'html' }],
  ['an empty list', { kind: 'body', body: { keys: [] } }],
  ['keys that are none', { kind: 'body', body: { keys: [{ kty: 'oct', k: 'x' }] } }],
  ['connection reset', { kind: 'reset' }],
  ['answer cut in the middle', { kind: 'cut' }],
  ['no answer', { kind: 'hang' }],
  ['a body of 64 MB', { kind: 'hugeBody' }],
]

/** What the person meets, as a cell of the table; and that nothing was written and the earlier session lives. */
async function cell(t: Test, gateway: TestGateway, browser: Browser, name: string, entry: FaultEntry): Promise<string> {
  gateway.entra.faults.add(entry)
  const outcome = await attempt(gateway, { person: PERSON_IDS.many })
  gateway.entra.faults.clear()
  const { code, status, again } = outcome
  t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200, `${name}: the earlier session lives`)
  const requests = outcome.graph.length > 0
    ? outcome.graph.length
    : outcome.keys.length > 0
    ? outcome.keys.length
    : outcome.token.length
  if (code === 'signed in') return `signed in, ${requests}`
  t.strictSame(outcome.changed, [], `${name}: nothing was written`)
  t.ok(code in FAILURES && !GENERIC.includes(code as ErrorCode), `${name}: ${code} is a cause of its own`)
  t.not(status, 500, name)
  t.type(outcome.log.remedy, 'string', `${name}: the log has a remedy`)
  return `${again === undefined ? status : 'again'} \`${code}\`, ${requests}`
}

const patience = { config: { entra: { loginBudget: '3s' } } }

/** A throttle is remembered: whoever comes after one needs a gateway that has not met it. */
async function column(
  t: Test,
  causes: readonly (readonly [Cause, number])[],
  entryOf: (fault: Fault, times: number) => FaultEntry,
  fresh: (cause: Cause) => boolean,
): Promise<string[]> {
  let gateway = await startTestGateway(t, patience)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  await gateway.signIn(PERSON_IDS.many)
  const cells: string[] = []
  for (const [cause, times] of causes) {
    if (fresh(cause)) gateway = await gateway.restart()
    cells.push(await cell(t, gateway, browser, cause[0], entryOf(cause[1], times)))
    if (cause[1].kind === 'throttle') gateway = await gateway.restart()
  }
  return cells
}

t.test('every fault at every place', async (t) => {
  const graph = [...ONCE.map((cause) => [cause, 1] as const), ...LASTING.map((cause) => [cause, Infinity] as const)]
  const [first = [], middle = [], last = [], token = [], keys = []] = await Promise.all([
    ...[1, 2, 3].map((page) => column(t, graph, (then, times) => ({ on: 'graph', page, times, then }), () => false)),
    column(
      t,
      TOKEN.map((cause) => [cause, Infinity] as const),
      (then, times) => ({ on: 'token', times, then }),
      () => false,
    ),
    column(
      t,
      KEYS.map((cause) => [cause, Infinity] as const),
      (then, times) => ({ on: 'keys', times, then }),
      () => true,
    ),
  ])
  const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
    [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
  const page = `# Faults and what comes of them

Made by \`test/entra/faults.test.ts\`, which plays each fault against the whole gateway and checks in every case that
no user, membership, flag or session has
changed and that a session from before goes on. Written anew with \`GATEHOUSE_WRITE_DOCS=1 node scripts/test.mjs
test/entra/faults.test.ts\`.

A cell is the status of the page, the code ([what each means](errors.md)), and how many requests were made to that
place. "again" means that the person is sent to
sign in once more by itself, and meets the page if that fails too. The budget of a login is 3 seconds here; it is 15
unless configured otherwise, and then more is tried.

## Microsoft Graph: somebody in 2,500 groups, which are three pages

${
    table(
      ['fault', 'on the first page', 'on the middle page', 'on the last page'],
      graph.map(([[name]], index) => [name, first[index] ?? '', middle[index] ?? '', last[index] ?? '']),
    )
  }

## The token endpoint

A code is sent once, whatever comes of it: Entra ID counts the second time as a replay.

${table(['fault', 'outcome'], TOKEN.map(([name], index) => [name, token[index] ?? '']))}

## The signing keys, with none cached

With keys cached a fault here stops no sign-in: the last good ones are used.

${table(['fault', 'outcome'], KEYS.map(([name], index) => [name, keys[index] ?? '']))}
`
  t.comment(`\n${page}`)
  if (process.env.GATEHOUSE_WRITE_DOCS) writeFileSync(PAGE, page)
  t.equal(readFileSync(PAGE, 'utf8'), page, 'GATEHOUSE_WRITE_DOCS=1 node scripts/test.mjs test/entra/faults.test.ts')
})
