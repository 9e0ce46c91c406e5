// Records requests as spans. A `traceparent` continues a trace only if a trusted proxy sent it. Without an exporter no
// hook is registered and the handlers of the auth endpoints are not wrapped.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseTraceparent, type RemoteParent, type RequestSpan, type Tracer } from '../core/tracer.js'
import { asGatehouseError } from './errors.js'
import type { TrustedPeers } from '../net/networks.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set while the request is recorded. */
    span?: RequestSpan | undefined
  }
}

export interface RequestTracingOptions {
  readonly tracer: Tracer
  readonly trusts: TrustedPeers
}

/** Records all requests of the scope and of its child scopes. */
export function traceRequests(scope: FastifyInstance, { tracer, trusts }: RequestTracingOptions): void {
  if (!tracer.enabled) return
  scope.decorateRequest('span')
  scope.addHook('onRequest', (request, _reply, done) => {
    const span = request.span = tracer.request(
      'page',
      factsOf(request, request.routeOptions.url ?? ''),
      parentOf(request, trusts),
    )
    if (span) span.run(done) // Fastify keeps the async context while the body arrives
    else done()
  })
  scope.addHook('onError', (request, _reply, error, done) => {
    request.span?.set({ 'gatehouse.result': asGatehouseError(error).code })
    done()
  })
  scope.addHook('onResponse', (request, reply, done) => {
    request.span?.end(reply.statusCode)
    done()
  })
}

export type Handler = (request: FastifyRequest, reply: FastifyReply) => FastifyReply | Promise<FastifyReply>
export type TraceForwardAuth = (route: string, handler: Handler) => Handler

/** Records forward-auth requests. Their scope has no hooks, so the handler is wrapped. */
export function traceForwardAuth({ tracer, trusts }: RequestTracingOptions): TraceForwardAuth {
  if (!tracer.enabled) return (_route, handler) => handler
  return (route, handler) => (request, reply) => {
    const span = tracer.request('forward_auth', factsOf(request, route), parentOf(request, trusts))
    if (!span) return handler(request, reply)
    const answered = (sent: FastifyReply): FastifyReply => {
      span.end(sent.raw.statusCode)
      return sent
    }
    const answer = span.run(() => handler(request, reply))
    return answer instanceof Promise ? answer.then(answered) : answered(answer)
  }
}

function factsOf(request: FastifyRequest, route: string) {
  return { 'http.request.method': request.method, 'http.route': route, 'gatehouse.correlation_id': request.id }
}

function parentOf(request: FastifyRequest, trusts: TrustedPeers): RemoteParent | undefined {
  const { traceparent } = request.headers
  return typeof traceparent === 'string' && trusts(request.socket.remoteAddress) // guard: trace-trusted
    ? parseTraceparent(traceparent)
    : undefined
}
