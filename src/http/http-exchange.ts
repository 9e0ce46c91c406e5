// A request and its answer, where both are needed.
import type { FastifyReply, FastifyRequest } from 'fastify'

export interface HttpExchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}
