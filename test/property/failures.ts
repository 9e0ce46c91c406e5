// Everything that can go wrong between Entra and us for good: what the simulator does, and the family of codes that the
// person may meet. Kinds that are tried again are in OUTLASTING: they need a gateway with little patience.
import fc from 'fast-check'
import type { Fault, FaultEntry, Forgery } from '../../src/demo/entra/faults.js'

export interface Failure {
  readonly name: string
  /** `again`: the browser is sent to Entra ID once more instead of being shown a page. */
  readonly code: RegExp | 'again'
  /** `page` is one that the person's memberships have. */
  entry(page: number): FaultEntry
}

const GROUP = '#microsoft.graph.group'
const ELSEWHERE = '@odata.nextLink'
const graphError = (status: number, code: string): Fault => ({
  kind: 'status',
  status,
  body: { error: { code, message: 'no', innerError: {} } },
})

const FORBIDDEN = graphError(403, 'Authorization_RequestDenied')

const onPage = (name: string, code: RegExp, then: Fault): Failure => ({
  name: `Graph: ${name}`,
  code,
  entry: (page) => ({ on: 'graph', page, then }),
})
const onToken = (name: string, code: Failure['code'], then: Fault): Failure => ({
  name: `token: ${name}`,
  code,
  entry: () => ({ on: 'token', then }),
})
const onClaim = (name: string, change: (claims: Record<string, unknown>) => void): Failure =>
  onToken(name, /^id_token_/, { kind: 'mutateClaims', change })
const onCallback = (name: string, code: Failure['code'], change: (parameters: URLSearchParams) => void): Failure => ({
  name: `callback: ${name}`,
  code,
  entry: () => ({ on: 'authorize', then: { kind: 'callback', change } }),
})

const pages: Failure[] = [
  onPage('400', /^graph_request_refused$/, graphError(400, 'BadRequest')),
  onPage('401', /^graph_unauthorized$/, graphError(401, 'InvalidAuthenticationToken')),
  // On the first page Graph is asked a second way.
  {
    name: 'Graph: 403',
    code: /^graph_forbidden$/,
    entry: (page) => ({ on: 'graph', page, times: page === 1 ? 2 : 1, then: FORBIDDEN }),
  },
  onPage('404', /^person_not_found$/, graphError(404, 'Request_ResourceNotFound')),
  onPage('500', /^graph_unavailable$/, graphError(500, 'InternalServerError')),
  onPage('a redirect', /^graph_redirected$/, {
    kind: 'status',
    status: 302,
    headers: { location: 'http://127.0.0.1:9/' },
  }),
  onPage('204', /^graph_not_json$/, { kind: 'status', status: 204 }),
  onPage('a web page', /^graph_not_json$/, { kind: 'html' }),
  onPage('half of a JSON', /^graph_not_json$/, { kind: 'status', status: 200, body: '{"value":[' }),
  onPage('a body too long', /^graph_too_large$/, { kind: 'hugeBody', bytes: 9 * 1024 * 1024 }),
  ...[
    {},
    [],
    { value: null },
    { value: {} },
    { value: [null] },
    { value: [{ id: '00000000-0000-4000-8000-000000000000' }] },
    { value: [{ '@odata.type': GROUP }] },
    { value: [{ '@odata.type': GROUP, id: 'Admins' }] },
    { value: [], [ELSEWHERE]: 'next' },
    { value: [], [ELSEWHERE]: null },
    { error: { code: 'x' }, value: 'x' },
  ]
    .map((body) => onPage(JSON.stringify(body), /^graph_malformed$/, { kind: 'body', body })),
  onPage('another origin', /^graph_foreign_link$/, { kind: 'foreignNextLink', origin: 'http://127.0.0.1:9' }),
  onPage('another host', /^graph_foreign_link$/, {
    kind: 'foreignNextLink',
    origin: 'https://graph.microsoft.com.evil.example',
  }),
  {
    name: 'Graph: a circle',
    code: /^graph_paging_loop$/,
    entry: (page) => ({ on: 'graph', page, times: page === 1 ? 2 : 1, then: { kind: 'loopingNextLink' } }),
  },
  {
    name: 'Graph: refused with and without a query',
    code: /^graph_request_refused$/,
    entry: () => ({ on: 'graph', times: 2, then: graphError(400, 'Request_UnsupportedQuery') }),
  },
  {
    name: 'Graph: a page token that never holds',
    code: /^graph_page_expired$/,
    entry: (page) => ({ on: 'graph', page, times: 4, then: graphError(400, 'Directory_ExpiredPageToken') }),
  },
]

const aadsts: [number, RegExp][] = [
  [7000215, /^entra_secret_wrong$/],
  [7000222, /^entra_secret_expired$/],
  [54005, /^code_redeemed$/],
  [53003, /^conditional_access$/],
  [65001, /^consent_required$/],
  [90033, /^entra_unavailable$/],
]
const forgeries: Forgery[] = [
  'none',
  'hs256-public-key',
  'unregistered-key',
  'unknown-kid',
  'embedded-jwk',
  'truncated',
]

const tokens: Failure[] = [
  ...aadsts.map(([number, code]) => onToken(`AADSTS${number}`, code, { kind: 'aadsts', code: number })),
  onToken('AADSTS50076', 'again', { kind: 'aadsts', code: 50076 }),
  onToken('500', /^entra_unavailable$/, { kind: 'status', status: 500 }),
  onToken('a web page', /^entra_malformed$/, { kind: 'html' }),
  onToken('nothing in it', /^entra_malformed$/, { kind: 'body', body: {} }),
  onToken('a cut body', /^entra_/, { kind: 'cut' }),
  onToken('a reset', /^entra_/, { kind: 'reset' }),
  onToken('a body too long', /^entra_/, { kind: 'hugeBody', bytes: 9 * 1024 * 1024 }),
  onToken('no id token', /^id_token_missing$/, { kind: 'dropIdToken' }),
  ...forgeries.map((how) => onToken(how, /^id_token_/, { kind: 'signWith', how })),
  onClaim('another nonce', (claims) => {
    claims.nonce = 'of another sign-in'
  }),
  onClaim('another application', (claims) => {
    claims.aud = '00000000-0000-4000-8000-000000000000'
  }),
  onClaim('another tenant', (claims) => {
    claims.tid = '00000000-0000-4000-8000-000000000000'
  }),
  onClaim('no object id', (claims) => {
    delete claims.oid
  }),
  onClaim('long over', (claims) => {
    claims.exp = 1_700_000_000
  }),
]

const callbacks: Failure[] = [
  onCallback('cancelled', /^login_cancelled$/, (parameters) => {
    parameters.delete('code')
    parameters.set('error', 'access_denied')
  }),
  onCallback('no code', /^callback_malformed$/, (parameters) => parameters.delete('code')),
  onCallback('a made-up code', 'again', (parameters) => parameters.set('code', '1.made-up')),
  onCallback('no state', /^state_missing$/, (parameters) => parameters.delete('state')),
  onCallback(
    'another state',
    /^state_invalid$/,
    (parameters) => parameters.set('state', `${parameters.get('state')}A`),
  ),
]

/** Pages of Graph come first and weigh most. */
export const finalFailure = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...pages) },
  { weight: 3, arbitrary: fc.constantFrom(...tokens) },
  { weight: 1, arbitrary: fc.constantFrom(...callbacks) },
)

const outlasting = (on: FaultEntry['on'], then: Fault): Failure => ({
  name: `${on}: ${JSON.stringify(then)} for ever`,
  code: /^(entra|graph)_/,
  entry: () => ({ on, then, times: Infinity }),
})

/**
 * To be tried in this order by a gateway that has seen no keys yet; the throttle comes last, since it is remembered.
 */
export const OUTLASTING: readonly Failure[] = [
  ...[{ kind: 'status', status: 500 }, { kind: 'html' }, { kind: 'body', body: { keys: [] } }, { kind: 'cut' }, {
    kind: 'reset',
  }].map((then) => outlasting('keys', then as Fault)),
  outlasting('token', { kind: 'hang' }),
  outlasting('graph', { kind: 'throttle', status: 503 }),
  outlasting('graph', { kind: 'status', status: 504 }),
  outlasting('graph', { kind: 'cut' }),
  outlasting('graph', { kind: 'reset' }),
  outlasting('graph', { kind: 'hang' }),
  outlasting('graph', { kind: 'slow', ms: 30_000 }),
  outlasting('graph', { kind: 'throttle', retryAfter: '120' }),
]
