// Sends spans to a collector: within a deadline, with the retries of OTLP, and aborted when the gateway closes.
// A collector that is down, slow or sends invalid answers causes the loss of spans, and no other failure.
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import type { Dispatcher } from 'undici'
import { createOutgoingAgent, post, type OutgoingAnswer } from '../../net/outgoing-http.js'
import type { OtlpSettings } from './otlp-settings.js'

/** Encodes a batch of spans, and decodes the collector's answer. */
export interface Serializer {
  serializeRequest(spans: ReadableSpan[]): Uint8Array | undefined
  deserializeResponse(body: Uint8Array): { readonly partialSuccess?: { readonly rejectedSpans?: unknown } }
}

export interface OtlpExporterOptions {
  readonly settings: OtlpSettings
  readonly serializer: Serializer
  /** Called for every batch; undefined: success. */
  readonly report: (failure: string | undefined) => void
}

export interface OtlpExporter extends SpanExporter {
  /** Stops retries now, and aborts the requests that are in flight after this time. */
  endWithin(ms: number): void
}

const RETRIED = new Set([429, 502, 503, 504]) // "OTLP/HTTP Response", retryable codes
const FIRST_PAUSE_MS = 1_000

export function createOtlpExporter({ settings, serializer, report }: OtlpExporterOptions): OtlpExporter {
  const agent = createOutgoingAgent(settings.url.hostname, settings.tls)
  const closing = new AbortController()
  const inFlight = new Map<AbortController, Promise<void>>()
  const send = createSender({ settings, serializer, agent, closing: closing.signal })
  let ending: NodeJS.Timeout | undefined

  return {
    export(spans, done) {
      const deadline = new AbortController()
      const timer = setTimeout(() => deadline.abort(), settings.timeoutMs)
      inFlight.set(
        deadline,
        send(spans, deadline.signal).catch(() => 'they could not be sent').then((failure) => {
          clearTimeout(timer)
          inFlight.delete(deadline)
          report(failure)
          done({ code: failure === undefined ? 0 : 1 })
        }),
      )
    },
    endWithin(ms) {
      closing.abort()
      ending = setTimeout(() => {
        for (const deadline of inFlight.keys()) deadline.abort() // guard: trace-end
      }, ms)
    },
    async shutdown() {
      await Promise.allSettled(inFlight.values())
      clearTimeout(ending)
      await agent.destroy()
    },
  }
}

interface SenderOptions extends Pick<OtlpExporterOptions, 'settings' | 'serializer'> {
  readonly agent: Dispatcher
  readonly closing: AbortSignal
}

/** @returns sends a batch, with retries until the timeout; the failure, or undefined for success */
function createSender({ settings, serializer, agent, closing }: SenderOptions) {
  return async (spans: ReadableSpan[], signal: AbortSignal): Promise<string | undefined> => {
    const bytes = serializer.serializeRequest(spans)
    if (!bytes) return 'they could not be written'
    const body = settings.gzip ? await promisify(gzip)(bytes) : bytes
    const ends = performance.now() + settings.timeoutMs
    for (let pause = FIRST_PAUSE_MS;; pause *= 2) {
      const answer = await post(requestOf(settings, body), { agent, signal })
      if (answer.status !== undefined && !RETRIED.has(answer.status)) return failureOf(answer, serializer)
      const retryAfter = answer.status === undefined ? 0 : Number(answer.retryAfter)
      const pauseMs = retryAfter > 0 ? retryAfter * 1000 : pause * (0.5 + Math.random())
      if (closing.aborted || performance.now() + pauseMs >= ends) return failureOf(answer, serializer)
      await sleep(pauseMs, undefined, { signal: closing, ref: false }).catch(() => {})
    }
  }
}

function requestOf({ url, headers, protocol, gzip: isZipped }: OtlpSettings, body: Uint8Array) {
  return {
    url,
    headers: {
      ...headers,
      'content-type': protocol === 'http/json' ? 'application/json' : 'application/x-protobuf',
      ...(isZipped ? { 'content-encoding': 'gzip' } : {}),
    },
    body,
  }
}

function failureOf(answer: OutgoingAnswer, serializer: Serializer): string | undefined {
  if (answer.status === undefined) return answer.failure
  if (answer.status < 200 || answer.status > 299) return `it answered ${answer.status}`
  const rejected = rejectedSpans(answer.body, serializer)
  return rejected > 0 ? `it rejected ${rejected} spans` : undefined
}

/** A 2xx is a success, even if the body of the answer is not OTLP. */
function rejectedSpans(body: Uint8Array, serializer: Serializer): number {
  try {
    return body.length === 0 ? 0 : Number(serializer.deserializeResponse(body)?.partialSuccess?.rejectedSpans ?? 0) || 0
  } catch {
    return 0
  }
}
