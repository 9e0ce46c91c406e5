// One request to Microsoft Graph: the token goes to the Graph origin alone; 429, 503, 504 and broken connections are
// tried again within the deadline, everything else is final (learn.microsoft.com, "Microsoft Graph throttling
// guidance").
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { graphError, THROTTLED } from './graph-errors.js'
import { jsonOf, TransportError, type HttpAnswer, type HttpClient } from './http-client.js'
import { parseRetryAfter } from '../core/retry-after.js'
import { createThrottle, type Throttle } from './throttle.js'

export interface GraphRequest {
  /** Absolute; must be on the Graph origin. */
  readonly url: string
  readonly accessToken: string
  readonly correlationId: string
  readonly signal: AbortSignal
  /** Milliseconds (monotonic) at which the signal fires: no wait is begun that would outlast it. */
  readonly deadline: number
  /** Graph throttles low priority first: high for a sign-in, low for background work. */
  readonly priority?: 'high' | 'low'
  /** A cast or a count: Graph answers it from an index, and only where the header says that this will do. */
  readonly advancedQuery?: boolean
}

export interface GraphClient {
  /** @returns the parsed body of a 200 @throws GatehouseError `graph_*`, `person_not_found` */
  get(request: GraphRequest): Promise<Readonly<Record<string, unknown>>>
  /** For what reads only: it is sent again like a `get`. */
  post(request: GraphRequest, body: object): Promise<Readonly<Record<string, unknown>>>
  /** Until when Graph asked to wait (milliseconds since 1970); undefined where it does not. */
  throttledUntil(): number | undefined
}

const ATTEMPTS = 5
/** However long Graph asks us to wait. */
export const MAX_PAUSE_MS = 300_000
const RETRIED = new Set([429, 503, 504])

/** At least this often one request is sent while Graph asks to wait. */
const PROBE_EVERY_MS = 15_000

export interface GraphClientOptions {
  readonly http: HttpClient
  readonly graphUrl: string
  readonly backoffMs?: number
  /** For background work: every Retry-After pauses all requests, not only that of a 429, and there are no probes. */
  readonly patient?: boolean
  readonly probeEveryMs?: number
  /** Called with each 429, and with the milliseconds of its Retry-After. */
  readonly onThrottled?: OnThrottled | undefined
}

/** @param waitMs undefined: Graph did not say for how long */
export type OnThrottled = (waitMs: number | undefined) => void

export function createGraphClient(options: GraphClientOptions): GraphClient {
  const { http, graphUrl, backoffMs = 250, patient = false, onThrottled = () => {} } = options
  const origin = new URL(graphUrl).origin
  const throttle = createThrottle({ probeEveryMs: options.probeEveryMs ?? (patient ? Infinity : PROBE_EVERY_MS) })
  const connection: GraphConnection = { http, origin, throttle, backoffMs, patient, onThrottled }
  return {
    get: (request) => send(connection, request),
    post: (request, body) => send(connection, request, JSON.stringify(body)),
    throttledUntil: () => throttle.remainingMs() > 0 ? Date.now() + throttle.remainingMs() : undefined,
  }
}

interface GraphConnection {
  readonly http: HttpClient
  readonly origin: string
  readonly throttle: Throttle
  readonly backoffMs: number
  readonly patient: boolean
  readonly onThrottled: OnThrottled
}

interface Attempt {
  readonly request: GraphRequest
  readonly body: string | undefined
  readonly number: number
  readonly last: HttpAnswer | TransportError | undefined
}

interface Asked {
  readonly answer: HttpAnswer | TransportError
  readonly pauseMs: number
  readonly shared: boolean
}

async function send(
  connection: GraphConnection,
  request: GraphRequest,
  body?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const { origin, throttle, patient } = connection
  if (new URL(request.url).origin !== origin) {
    throw new GatehouseError('graph_foreign_link', { detail: 'a token was about to leave for another origin' })
  }
  let last: HttpAnswer | TransportError | undefined
  for (let number = 0; number < ATTEMPTS; number++) {
    const turn = await throttle.turn(request)
    if (turn === 'no') break
    const { answer, pauseMs, shared } = await ask(connection, { request, body, number, last }, turn === 'probe')
    last = answer
    if (answer instanceof TransportError ? answer.kind !== 'network' : !RETRIED.has(answer.status)) break
    if (!shared && (number + 1 === ATTEMPTS || !await wait(pauseMs, request))) break
  }
  return bodyOf(last, request, { origin, remainingMs: throttle.remainingMs(), patient })
}

/** The answer, with what it says of a pause: `shared` is that of all requests. */
async function ask(connection: GraphConnection, attempt: Attempt, probe: boolean): Promise<Asked> {
  const { http, throttle, backoffMs, patient, onThrottled } = connection
  const sentAt = performance.now()
  try {
    const answer = await sendAttempt(http, attempt)
    const status = statusOf(answer)
    const asked = answer instanceof TransportError ? undefined : retryAfter(answer)
    const pauseMs = asked ?? backoffMs * (attempt.number + 1) ** 2
    // guard: sync-pause-batch
    const shared = status === 429 || (patient && asked !== undefined && status !== undefined && RETRIED.has(status))
    if (status === 429) onThrottled(asked)
    if (shared) throttle.pause(Math.min(pauseMs, MAX_PAUSE_MS))
    else if (status !== undefined && status < 500) throttle.answered(sentAt)
    return { answer, pauseMs, shared }
  } finally {
    if (probe) throttle.probed()
  }
}

async function sendAttempt(
  http: HttpClient,
  { request, body, number, last }: Attempt,
): Promise<HttpAnswer | TransportError> {
  try {
    return await http.send({
      url: request.url,
      method: body === undefined ? 'GET' : 'POST',
      headers: headersOf(request, body, number),
      ...(body === undefined ? {} : { body }),
      signal: request.signal,
      newConnection: statusOf(last) === 503,
    })
  } catch (error) {
    if (error instanceof TransportError) return error
    throw error
  }
}

/** @returns false where the wait would outlast the request, or the request was aborted meanwhile */
async function wait(ms: number, request: GraphRequest): Promise<boolean> {
  if (performance.now() + ms >= request.deadline) return false
  await sleep(ms, undefined, { signal: request.signal }).catch(() => {})
  return !request.signal.aborted
}

function statusOf(answer: HttpAnswer | TransportError | undefined): number | undefined {
  return answer === undefined || answer instanceof TransportError ? undefined : answer.status
}

function headersOf(request: GraphRequest, body: string | undefined, attempt: number): Record<string, string> {
  return {
    'authorization': `Bearer ${request.accessToken}`, // guard: token-of-this-login
    'accept': 'application/json',
    'client-request-id': request.correlationId,
    'x-ms-throttle-priority': request.priority ?? 'high',
    ...(request.advancedQuery ? { ConsistencyLevel: 'eventual' } : {}), // guard: adv-guests-consistency
    ...(attempt > 0 ? { 'retry-attempt': String(attempt) } : {}),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  }
}

/** A date counts from the answer's own clock, which need not be ours. */
function retryAfter({ headers }: HttpAnswer): number | undefined {
  const date = Date.parse(headers.date ?? '')
  return parseRetryAfter(headers['retry-after'], Number.isNaN(date) ? Date.now() : date)
}

interface Circumstances {
  readonly origin: string
  readonly remainingMs: number
  readonly patient: boolean
}

function bodyOf(
  answer: HttpAnswer | TransportError | undefined,
  { signal, correlationId }: GraphRequest,
  { origin, remainingMs, patient }: Circumstances,
): Readonly<Record<string, unknown>> {
  if (answer === undefined) throw heldBack(remainingMs, patient)
  if (answer instanceof TransportError) { // guard: broken-is-no-answer
    const code = transportCode(answer, signal)
    throw new GatehouseError(code, {
      cause: answer,
      detail: `no usable answer from ${origin}: ${answer.message}`, // guard: endpoint-named
      remedy: 'Check the network, HTTPS_PROXY and entra.caFile; raise entra.loginBudget if Graph is slow.',
    })
  }
  const body = jsonOf(answer.text)
  if (answer.status === 200 && isRecord(body)) return body // guard: no-json-is-no-answer, status-checked
  throw graphError(answer, body, correlationId) // guard: refusal-is-no-answer
}

function heldBack(remainingMs: number, patient: boolean): GatehouseError {
  const until = new Date(Date.now() + remainingMs).toISOString()
  const probes = patient ? '' : `; every ${PROBE_EVERY_MS / 1000} seconds one request is sent all the same`
  const detail = `Graph asked to wait until ${until}${probes}`
  return new GatehouseError('graph_throttled', { detail, remedy: THROTTLED })
}

function transportCode({ kind }: TransportError, signal: AbortSignal): ErrorCode {
  if (kind === 'timeout' || signal.aborted) return 'graph_timeout'
  return kind === 'too_large' ? 'graph_too_large' : 'graph_unavailable'
}
