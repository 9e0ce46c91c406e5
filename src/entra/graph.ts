// One question to Microsoft Graph: the token goes to the Graph origin alone; 429, 503, 504 and broken connections are
// tried again within the deadline, everything else is final (learn.microsoft.com, "Microsoft Graph throttling guidance").
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { graphError } from './graph-errors.js'
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
  /** A cast or a count: Graph answers it from an index, and only where the header says that this will do. */
  readonly advancedQuery?: boolean
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
        headers: headersOf(request, body, number),
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

function headersOf(request: GraphRequest, body: string | undefined, attempt: number): Record<string, string> {
  return {
    'authorization': `Bearer ${request.accessToken}`,
    'accept': 'application/json',
    'client-request-id': request.correlationId,
    'x-ms-throttle-priority': request.priority ?? 'high',
    ...(request.advancedQuery ? { ConsistencyLevel: 'eventual' } : {}),
    ...(attempt > 0 ? { 'retry-attempt': String(attempt) } : {}),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
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
