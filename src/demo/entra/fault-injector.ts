// Applies answer faults to a reply. `cut` needs the correct answer first, so the onSend hook applies it.
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AnswerFault } from './faults.js'
import { aadstsBody, explain, isTransient } from './aadsts.js'

export interface FaultInjector {
  /** True if a fault has answered the request. */
  inject(faults: readonly AnswerFault[], request: FastifyRequest, reply: FastifyReply): Promise<boolean>
  /** For the onSend hook. */
  truncateIfMarked(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown
}

export function createFaultInjector(now: () => number): FaultInjector {
  const marked = new WeakSet<FastifyRequest>()
  return {
    async inject(faults, request, reply) {
      for (const fault of faults) {
        if (fault.kind === 'slow') await delay(fault.ms, undefined, { ref: false })
        else if (fault.kind === 'cut') marked.add(request)
        else {
          answer(fault, reply, now)
          return true
        }
      }
      return false
    },
    truncateIfMarked(request, reply, payload) {
      if (!marked.has(request) || typeof payload !== 'string') return payload
      const bytes = Buffer.from(payload)
      reply.header('content-length', bytes.length)
      return halfOf(bytes, reply)
    },
  }
}

/** A delay lets the first half leave before the connection breaks; without it the client may receive only a reset. */
function halfOf(bytes: Buffer, reply: FastifyReply) {
  return new Readable({
    read() {
      this.push(bytes.subarray(0, Math.ceil(bytes.length / 2)))
      setTimeout(() => reply.raw.destroy(), 20)
      this._read = () => {}
    },
  })
}

function answer(fault: Exclude<AnswerFault, { kind: 'slow' | 'cut' }>, reply: FastifyReply, now: () => number) {
  switch (fault.kind) {
    case 'hang':
      return reply.hijack()
    case 'reset':
      reply.hijack()
      return reply.raw.socket?.resetAndDestroy()
    case 'status':
      return reply.code(fault.status).headers({ 'content-type': 'application/json', ...lowerCased(fault.headers) })
        .send(rawBody(fault.body))
    case 'throttle':
      if (fault.retryAfter !== undefined) reply.header('retry-after', fault.retryAfter)
      return reply.code(fault.status ?? 429).type('application/json')
        .send(
          JSON.stringify({
            error: {
              code: fault.status === 503 ? 'serviceNotAvailable' : 'TooManyRequests',
              message: 'Please retry again later.',
            },
          }),
        )
    case 'body':
      return reply.code(200).type('application/json').send(JSON.stringify(fault.body))
    case 'html':
      return reply.code(fault.status ?? 200).type('text/html').send(
        '<html><head><title>504 Gateway Time-out</title></head><body></body></html>',
      )
    case 'hugeBody':
      return reply.code(200).type('application/json').send(hugeBody(fault.bytes ?? 64 * 1024 * 1024))
    case 'aadsts': {
      const { error, status } = explain(fault.code)
      const body = aadstsBody({ code: fault.code, now: now(), error: fault.error ?? error, crlf: fault.crlf ?? false })
      return reply.code(fault.status ?? (isTransient(fault.code) ? 503 : status)).type(
        'application/json; charset=utf-8',
      )
        .send(
          JSON.stringify({
            ...body,
            ...(fault.suberror && { suberror: fault.suberror }),
            ...(fault.claims && { claims: fault.claims }),
          }),
        )
    }
  }
}

const lowerCased = (headers: Record<string, string> = {}) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
/** Bytes, because of a string Fastify would complete the content type with a charset. */
const rawBody = (body: unknown) =>
  Buffer.from(typeof body === 'string' || body === undefined ? body ?? '' : JSON.stringify(body))

function hugeBody(bytes: number) {
  const element = `${
    JSON.stringify({
      '@odata.type': '#microsoft.graph.group',
      id: '00000000-0000-4000-8000-000000000000',
      description: 'x'.repeat(4000),
    })
  },`.repeat(16)
  return Readable.from((function* () {
    yield '{"value":['
    for (let sent = 0; sent < bytes; sent += element.length) yield element
    yield '{}]}'
  })())
}
