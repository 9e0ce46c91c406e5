// One question to Microsoft Graph: the token goes to the Graph origin alone; 429, 503, 504 and broken connections are
// tried again within the deadline, everything else is final (learn.microsoft.com, "Microsoft Graph throttling guidance").
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { claimsChallenge } from './challenge.js'
import { isRecord, jsonOf, TransportError, type HttpAnswer, type HttpClient } from './http-client.js'
import { parseRetryAfter } from './retry-after.js'

export interface GraphRequest {
  /** Absolute; must be on the Graph origin. */
  readonly url: string
  readonly accessToken: string
  readonly correlationId: string
  readonly signal: AbortSignal
  /** Milliseconds (monotonic) at which the signal fires: no wait is begun that would outlast it. */
  readonly deadline: number
  /** Whom Graph is to throttle last: a person who waits (high), or nobody (low). */
  readonly priority?: 'high' | 'low'
}

export interface GraphClient {
  /** @returns the parsed body of a 200 @throws GatehouseError `graph_*`, `person_not_found` */
  get(request: GraphRequest): Promise<Readonly<Record<string, unknown>>>
  /** For what reads only: it is sent again like a `get`. */
  post(request: GraphRequest, body: object): Promise<Readonly<Record<string, unknown>>>
}

const ATTEMPTS = 5
/** However long Graph asks us to wait. */
export const MAX_PAUSE_MS = 300_000
const RETRIED = new Set([429, 503, 504])

export interface GraphClientOptions {
  readonly http: HttpClient
  readonly graphUrl: string
  readonly backoffMs?: number
  /** Nobody waits: whatever pause Graph asks for holds for all, not only that of a 429. */
  readonly patient?: boolean
}

export function createGraphClient({ http, graphUrl, backoffMs = 250, patient = false }: GraphClientOptions): GraphClient {
  const origin = new URL(graphUrl).origin
  let pausedUntil = -Infinity // shared: one Retry-After is not met by fifty logins hammering

  const wait = async (ms: number, request: GraphRequest): Promise<boolean> => {
    if (performance.now() + ms >= request.deadline) return false
    await sleep(ms, undefined, { signal: request.signal }).catch(() => {})
    return !request.signal.aborted
  }
  const attempt = async (request: GraphRequest, body: string | undefined, number: number, newConnection: boolean): Promise<HttpAnswer | TransportError> => {
    try {
      return await http.send({
        url: request.url,
        method: body === undefined ? 'GET' : 'POST',
        headers: { 'authorization': `Bearer ${request.accessToken}`, 'accept': 'application/json', 'client-request-id': request.correlationId, 'x-ms-throttle-priority': request.priority ?? 'high', ...(number > 0 ? { 'retry-attempt': String(number) } : {}), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body }),
        signal: request.signal,
        newConnection,
      })
    } catch (error) {
      if (error instanceof TransportError) return error
      throw error
    }
  }
  const send = async (request: GraphRequest, body?: string): Promise<Readonly<Record<string, unknown>>> => {
    if (new URL(request.url).origin !== origin) throw new GatehouseError('graph_foreign_link', { detail: 'a token was about to leave for another origin' })
    let last: HttpAnswer | TransportError | undefined
    for (let number = 0; number < ATTEMPTS; number++) {
      const pause = pausedUntil - performance.now()
      if (pause > 0 && !await wait(pause, request)) break
      last = await attempt(request, body, number, last !== undefined && !(last instanceof TransportError) && last.status === 503)
      if (last instanceof TransportError ? last.kind !== 'network' : !RETRIED.has(last.status)) break
      const asked = last instanceof TransportError ? undefined : parseRetryAfter(last.headers['retry-after'], serverTime(last))
      const pauseMs = asked ?? backoffMs * (number + 1) ** 2
      if (!(last instanceof TransportError) && (last.status === 429 || (patient && asked !== undefined))) pausedUntil = Math.max(pausedUntil, performance.now() + Math.min(pauseMs, MAX_PAUSE_MS))
      if (number + 1 === ATTEMPTS || !await wait(pauseMs, request)) break
    }
    return bodyOf(last, request, origin)
  }
  return {
    get: (request) => send(request),
    post: (request, body) => send(request, JSON.stringify(body)),
  }
}

/** A date counts from the answer's own clock, which need not be ours. */
function serverTime({ headers }: HttpAnswer): number {
  const date = Date.parse(headers.date ?? '')
  return Number.isNaN(date) ? Date.now() : date
}

function bodyOf(answer: HttpAnswer | TransportError | undefined, { signal, correlationId }: GraphRequest, origin: string): Readonly<Record<string, unknown>> {
  if (answer === undefined) throw new GatehouseError('graph_throttled', { detail: 'Graph asked all sign-ins to wait longer than this one may', remedy: 'Wait; if it happens often, raise entra.loginBudget.' })
  if (answer instanceof TransportError) {
    const code: ErrorCode = answer.kind === 'timeout' || signal.aborted ? 'graph_timeout' : answer.kind === 'too_large' ? 'graph_too_large' : 'graph_unavailable'
    throw new GatehouseError(code, { cause: answer, detail: `no usable answer from ${origin}: ${answer.message}`, remedy: 'Check the network, HTTPS_PROXY and entra.caFile; raise entra.loginBudget if Graph is slow.' })
  }
  const body = jsonOf(answer.text)
  if (answer.status === 200 && isRecord(body)) return body
  throw graphError(answer, body, correlationId)
}

const BETWEEN = 'Something between answers in its place, like a proxy that wants a login: check HTTPS_PROXY, NO_PROXY and entra.graphUrl.'
const CHALLENGED = 'Nothing to do: the person is sent to sign in again. If it happens often, look at Conditional Access and at the clocks.'
const PAGE_EXPIRED = 'Reading from the first page again did not help: the person signs in again.'
const UNAVAILABLE = 'Try again; see the status page of Microsoft 365.'
/** For whatever no document of Microsoft's explains. */
export const REPORT = 'Try again; if it stays, please report it with the request-id.'

const BY_STATUS: Readonly<Record<number, { code: ErrorCode, remedy: string }>> = {
  401: { code: 'graph_unauthorized', remedy: 'The token was not accepted: check entra.graphUrl and entra.cloud (it must be for this Graph), and the clock.' },
  403: { code: 'graph_forbidden', remedy: 'Grant the delegated permission User.Read with admin consent; if it is there, set entra.membershipPath: me, or add GroupMember.Read.All.' },
  404: { code: 'person_not_found', remedy: 'The account was deleted, is brand-new, or entra.tenantId is of another tenant. A new account can take minutes to appear.' },
  429: { code: 'graph_throttled', remedy: 'Wait; if it happens often, look for other programs that use the same registration.' },
}

/** The table, for documentation. */
export function graphMeanings(): readonly { readonly status: string, readonly code: ErrorCode, readonly remedy: string }[] {
  return [
    { status: '400 with an expired page token', code: 'graph_page_expired', remedy: PAGE_EXPIRED },
    { status: '401 with a claims challenge', code: 'graph_claims_challenge', remedy: CHALLENGED },
    ...Object.entries(BY_STATUS).map(([status, meaning]) => ({ status, ...meaning })),
    { status: 'other 4xx', code: 'graph_request_refused', remedy: REPORT },
    { status: '500 and above', code: 'graph_unavailable', remedy: UNAVAILABLE },
    { status: '3xx', code: 'graph_redirected', remedy: BETWEEN },
    { status: '200 without JSON', code: 'graph_not_json', remedy: BETWEEN },
    { status: '200 with something else than was asked for', code: 'graph_malformed', remedy: REPORT },
  ]
}

/** Microsoft's error as ours: status and `error.code` decide, `error.message` goes nowhere. */
export function graphError({ status, headers }: HttpAnswer, body: unknown, correlationId: string): GatehouseError {
  const error = isRecord(body) && isRecord(body.error) ? body.error : {}
  const graphCode = typeof error.code === 'string' ? error.code : ''
  const facts = { status, graphCode, requestId: headers['request-id'], clientRequestId: correlationId, date: headers.date, diagnostic: headers['x-ms-ags-diagnostic'], throttleScope: headers['x-ms-throttle-scope'] }
  const detail = `Graph answered ${status}${graphCode === '' ? '' : ` ${graphCode}`}`
  if (status === 400 && graphCode.includes('PageToken')) return new GatehouseError('graph_page_expired', { detail, facts, remedy: PAGE_EXPIRED })
  const claims = status === 401 ? claimsChallenge(headers['www-authenticate']) : undefined
  if (claims !== undefined) return new GatehouseError('graph_claims_challenge', { detail: `${detail} with a claims challenge`, facts: { ...facts, claims }, remedy: CHALLENGED })
  const known = BY_STATUS[status]
  if (known) return new GatehouseError(known.code, { detail, facts, remedy: known.remedy })
  if (status >= 500) return new GatehouseError('graph_unavailable', { detail, facts, remedy: UNAVAILABLE })
  if (status >= 400) return new GatehouseError('graph_request_refused', { detail, facts, remedy: REPORT })
  if (status >= 300) return new GatehouseError('graph_redirected', { detail: `${detail}, a redirect`, facts, remedy: BETWEEN })
  if (body === undefined) return new GatehouseError('graph_not_json', { detail: `${detail} without JSON`, facts, remedy: BETWEEN })
  return new GatehouseError('graph_malformed', { detail: `${detail} without the object that was asked for`, facts, remedy: REPORT })
}
