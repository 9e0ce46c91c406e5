// Requests as spans. A trace goes on that a trusted proxy began; anybody else's `traceparent` does not count. Where
// nobody listens, no hook is there and the auth endpoints' handlers are what they were.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseTraceparent, type RemoteParent, type RequestSpan, type Tracer } from '../core/tracer.js'
import { asGatehouseError } from './errors.js'
import type { TrustedPeers } from '../net/networks.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** There while this request is recorded. */
    span?: RequestSpan | undefined
  }
}

export interface RequestTracingOptions {
  readonly tracer: Tracer
  readonly trusts: TrustedPeers
}

/** Every page of this scope and of those inside it. */
export function traceRequests(scope: FastifyInstance, { tracer, trusts }: RequestTracingOptions): void {
  if (!tracer.enabled) return
  scope.decorateRequest('span')
  scope.addHook('onRequest', (request, _reply, done) => {
    const span = request.span = tracer.request(
      'page',
      factsOf(request, request.routeOptions.url ?? ''),
      parentOf(request, trusts),
    )
    if (span) span.run(done) // Fastify itself keeps to it while a body arrives
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

/** A proxy's question: no hooks on that path, so the handler is wrapped. */
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
