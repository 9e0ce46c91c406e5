// A receiver over HTTP, webhook and OTLP alike: only 2xx is an acceptance.
import { createOutgoingAgent, post, type OutgoingAnswer } from '../net/outgoing-http.js'
import type { AuditView } from '../core/audit.js'
import type { AuditReceiver, ExportFailure } from '../core/audit-export.js'
import { createDeadline } from '../core/deadline.js'
import { parseRetryAfter } from '../core/retry-after.js'

export interface HttpReceiverOptions {
  readonly url: URL
  /** Headers and body of a batch. */
  readonly encode: (
    events: readonly AuditView[],
  ) => { readonly headers: Readonly<Record<string, string>>, readonly body: Uint8Array | string }
  /** @returns how many events of an accepted batch were rejected for good; default: none */
  readonly rejectedBy?: (body: Uint8Array) => number
  readonly timeoutMs?: number
  /** PEM: an authority to trust besides the usual ones. */
  readonly ca?: string
}

const TIMEOUT_MS = 30_000

/** @throws GatehouseError `proxy_unusable` */
export function createHttpReceiver(
  { url, encode, rejectedBy = () => 0, timeoutMs = TIMEOUT_MS, ca }: HttpReceiverOptions,
): AuditReceiver {
  const agent = createOutgoingAgent(url.hostname, ca === undefined ? {} : { ca })
  return {
    async send(events, signal) {
      const deadline = createDeadline(timeoutMs, signal)
      const answer = await post({ url, ...encode(events) }, { agent, signal: deadline.signal })
      deadline.clear()
      const failure = failureOf(answer)
      if (failure !== undefined) return { failure }
      return { rejected: Math.min(events.length, answer.status === undefined ? 0 : rejectedBy(answer.body)) }
    },
    close: () => agent.destroy(),
  }
}

function failureOf(answer: OutgoingAnswer): ExportFailure | undefined {
  if (answer.status === undefined) {
    return { cause: answer.isTimeout ? 'timeout' : 'unreachable', detail: answer.failure }
  }
  const { status } = answer
  if (status >= 200 && status <= 299) return undefined
  const detail = `it answered ${status}`
  const retryAfterMs = parseRetryAfter(answer.retryAfter, Date.now())
  if (status < 400) return { cause: 'redirected', detail }
  const isTemporary = status === 408 || status === 429 || status >= 500
  return { cause: isTemporary ? 'unavailable' : 'refused', detail, retryAfterMs }
}
