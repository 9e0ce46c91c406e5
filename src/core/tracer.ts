// What is told to OpenTelemetry, where an operator asks for it: which part of a request took how long and how it ended.
// What may be said of it is a closed list, and nothing on it is a person, a token, a cookie, a code, an address or what
// was asked for.

/** Everything that a span may say. Names follow OpenTelemetry's semantic conventions where they have one. */
export type SpanFacts = {
  readonly 'http.request.method'?: string
  /** The pattern of the route, never the address. */
  readonly 'http.route'?: string
  readonly 'http.response.status_code'?: number
  /** Which attempt at the same request this is, from the second on. */
  readonly 'http.request.resend_count'?: number
  readonly 'server.address'?: string
  readonly 'server.port'?: number
  readonly 'db.system.name'?: 'postgresql'
  /** As in the log, in the audit and on the page. */
  readonly 'gatehouse.correlation_id'?: string
  /** `ok`, or the code of the failure (core/errors.ts). */
  readonly 'gatehouse.result'?: string
  /** What Microsoft's support asks for. */
  readonly 'gatehouse.microsoft_request_id'?: string
  readonly 'gatehouse.entra_groups'?: number
  readonly 'gatehouse.graph_requests'?: number
}

export interface Span {
  set(facts: SpanFacts): void
  /** @param type a code or a status, never a message; the first one stays */
  failed(type: string): void
}

/** A request that came in. */
export interface RequestSpan extends Span {
  /** What begins in `work` belongs to this request, also what comes of it later. */
  run<T>(work: () => T): T
  end(status: number): void
}

/** Where a proxy's trace goes on (W3C Trace Context). */
export interface RemoteParent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

export interface Tracer {
  /** False: nobody listens, and nothing needs to be prepared for it. */
  readonly on: boolean
  /**
   * @param kind `page`: somebody's browser; `question`: a proxy's, on every request of every application
   * @returns undefined where this request is not recorded
   */
  request(
    kind: 'page' | 'question',
    facts: SpanFacts & { readonly 'http.request.method': string, readonly 'http.route': string },
    parent: RemoteParent | undefined,
  ): RequestSpan | undefined
  /**
   * A part of the request under way; of none, where none is recorded. What `work` throws is noted by its code and
   * thrown on.
   */
  part<T>(name: string, facts: SpanFacts, work: (span: Span) => Promise<T>): Promise<T>
}

const NOBODY: Span = { set: () => {}, failed: () => {} }

export function noTracer(): Tracer {
  return { on: false, request: () => undefined, part: (_name, _facts, work) => work(NOBODY) }
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * @param header `traceparent` (W3C Trace Context, section 3.2) @returns undefined for what is none; a later version is
 * read as far as this one goes
 */
export function parseTraceparent(header: string): RemoteParent | undefined {
  const [, version, traceId, spanId, flags = '', more] = TRACEPARENT.exec(header) ?? []
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
