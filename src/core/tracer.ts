// Tracing port. Attributes are an allow-list: it never contains personal data, tokens, cookies, codes, client addresses
// or targets.

/** The attributes of a span. Names follow OpenTelemetry's semantic conventions where they define one. */
export type SpanAttributes = {
  readonly 'http.request.method'?: string
  /** The pattern of the route, never the path of the request. */
  readonly 'http.route'?: string
  readonly 'http.response.status_code'?: number
  /** Number of the attempt at the same request, from the second attempt on. */
  readonly 'http.request.resend_count'?: number
  readonly 'server.address'?: string
  readonly 'server.port'?: number
  readonly 'db.system.name'?: 'postgresql'
  /** As in the log, in the audit and on the page. */
  readonly 'gatehouse.correlation_id'?: string
  /** `ok`, or the code of the failure (core/errors.ts). */
  readonly 'gatehouse.result'?: string
  /** The request id by which Microsoft's support finds the request. */
  readonly 'gatehouse.microsoft_request_id'?: string
  readonly 'gatehouse.entra_groups'?: number
  readonly 'gatehouse.graph_requests'?: number
}

export interface Span {
  set(attributes: SpanAttributes): void
  /** @param type a code or a status, never a message; only the first call counts */
  failed(type: string): void
}

/** A request that this process received. */
export interface RequestSpan extends Span {
  /** Everything that `work` starts belongs to this request, also asynchronously. */
  run<T>(work: () => T): T
  end(status: number): void
}

/** The span of the proxy that a request belongs to (W3C Trace Context). */
export interface RemoteParent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

export interface Tracer {
  /** False: tracing is disabled, and callers need not prepare attributes. */
  readonly enabled: boolean
  /**
   * @param kind `forward_auth`: sent by a proxy for every request of every application; `page`: any other
   * @returns undefined where this request is not recorded
   */
  request(
    kind: 'page' | 'forward_auth',
    attributes: SpanAttributes & { readonly 'http.request.method': string, readonly 'http.route': string },
    parent: RemoteParent | undefined,
  ): RequestSpan | undefined
  /**
   * A part of the current request; not recorded where that is not. An error that `work` throws is recorded by its code
   * and rethrown.
   */
  part<T>(name: string, attributes: SpanAttributes, work: (span: Span) => Promise<T>): Promise<T>
}

export const NOOP_SPAN: Span = { set: () => {}, failed: () => {} }

export function noTracer(): Tracer {
  return { enabled: false, request: () => undefined, part: (_name, _attributes, work) => work(NOOP_SPAN) }
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * @param header `traceparent` (W3C Trace Context, section 3.2) @returns undefined for a malformed header; of a later
 * version the fields of this version are read
 */
export function parseTraceparent(header: string): RemoteParent | undefined {
  const [, version, traceId, spanId, flags = '', more] = TRACEPARENT.exec(header) ?? []
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
