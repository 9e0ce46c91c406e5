// Several requests to Graph in one (learn.microsoft.com, "Combine multiple HTTP requests using JSON batching"). Each
// request of a batch has a status of its own; those that are throttled are sent again, the others are not.
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError } from '../core/errors.js'
import { REPORT, THROTTLED } from './graph-errors.js'
import { MAX_PAUSE_MS, type GraphClient, type GraphRequest, type OnThrottled } from './graph.js'
import { isRecord } from '../core/is-record.js'
import { parseRetryAfter } from '../core/retry-after.js'

export interface BatchRequest {
  /** Unique in its batch. */
  readonly id: string
  readonly method: 'GET'
  /** Path and query below /v1.0. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export interface BatchResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

export type RequestContext = Omit<GraphRequest, 'url'>

export interface GraphBatch {
  /**
   * @returns the responses by the ids of their requests; a request that Graph left out has none
   * @throws GatehouseError where the batch failed as a whole
   */
  send(requests: readonly BatchRequest[], context: RequestContext): Promise<ReadonlyMap<string, BatchResponse>>
}

/** Graph's limit for the requests of one batch. */
export const MAX_BATCH_REQUESTS = 20

const MAX_ATTEMPTS = 4
const RETRIED = new Set([429, 503, 504])
const BACKOFF_MS = 1_000

/** What Graph asked for in a response of a batch; a `Retry-After` of a whole answer is in the client (throttle.ts). */
export interface SharedPause {
  /** Milliseconds, monotonic. */
  until: number
}

export interface GraphBatchOptions {
  readonly graph: GraphClient
  readonly graphUrl: string
  /** Of all batches, and of other requests that wait for the same pause. */
  readonly pause: SharedPause
  /** Called with each response of a batch whose status is 429. */
  readonly onThrottled?: OnThrottled | undefined
}

export function createGraphBatch({ graph, graphUrl, pause, onThrottled = () => {} }: GraphBatchOptions): GraphBatch {
  const url = `${graphUrl}/v1.0/$batch`
  return {
    async send(requests, context) {
      if (!await waitUntil(pause.until, context)) {
        throw new GatehouseError('graph_throttled', { detail: 'Graph asked for a longer pause', remedy: THROTTLED })
      }
      const responses = new Map<string, BatchResponse>()
      let open = requests
      for (let attempt = 1;; attempt++) {
        const answer = await graph.post({ ...context, url }, { requests: open })
        for (const [id, response] of responsesOf(answer, open)) responses.set(id, response)
        open = open.filter(({ id }) => RETRIED.has(responses.get(id)?.status ?? 0))
        noteThrottled(open.flatMap(({ id }) => responses.get(id) ?? []), onThrottled)
        const last = open.length === 0 || attempt === MAX_ATTEMPTS || context.signal.aborted
        const pauses = open.flatMap(({ id }) => responses.get(id) ?? []).map((each) => pauseOf(each, attempt, last))
        for (const { until, shared } of pauses) if (shared) pause.until = Math.max(pause.until, until)
        const retryAt = Math.max(pause.until, ...pauses.map(({ until }) => until))
        if (last || !await waitUntil(retryAt, context)) return responses
      }
    },
  }
}

function noteThrottled(responses: readonly BatchResponse[], onThrottled: OnThrottled): void {
  for (const { status, headers } of responses) {
    if (status === 429) onThrottled(parseRetryAfter(headers['retry-after'], Date.now()))
  }
}

/** @returns false where the pause would outlast the request */
async function waitUntil(until: number, { deadline, signal }: RequestContext): Promise<boolean> {
  const ms = until - performance.now()
  if (ms > 0 && performance.now() + ms >= deadline) return false // guard: sync-pause
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {})
  return true
}

/** @returns until when the request waits, and whether all batches do */
function pauseOf(
  { status, headers }: BatchResponse,
  attempt: number,
  last: boolean,
): { readonly until: number, readonly shared: boolean } {
  const retryAfter = parseRetryAfter(headers['retry-after'], Date.now())
  const until = performance.now() + Math.min(MAX_PAUSE_MS, retryAfter ?? BACKOFF_MS * attempt ** 2)
  // A 503 without Retry-After is about one user: the batches of other users do not wait.
  // guard: sync-pause-own, sync-pause-named, sync-pause-last
  const shared = retryAfter !== undefined || (status === 429 && !last)
  return { until, shared }
}

/** A response to an unknown id, or two responses to one id, make the whole answer unusable. */
function responsesOf(
  { responses }: Readonly<Record<string, unknown>>,
  requests: readonly BatchRequest[],
): ReadonlyMap<string, BatchResponse> {
  const malformed = (detail: string): GatehouseError =>
    new GatehouseError('graph_malformed', { detail: `the answer to a batch ${detail}`, remedy: REPORT })
  if (!Array.isArray(responses)) throw malformed('has no list of responses')
  const requested = new Set(requests.map(({ id }) => id))
  const found = new Map<string, BatchResponse>()
  for (const response of responses as readonly unknown[]) {
    const { id, status, headers, body } = isRecord(response) ? response : {}
    if (typeof id !== 'string' || !requested.has(id) || found.has(id)) { // guard: sync-batch-ids
      throw malformed('has a response with an unknown or repeated id')
    }
    if (typeof status !== 'number') throw malformed('has a response without a status') // guard: sync-batch-status
    found.set(id, { status, headers: lowerCase(headers), body })
  }
  return found
}

function lowerCase(headers: unknown): Readonly<Record<string, string>> {
  return isRecord(headers)
    ? Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
    : {}
}
