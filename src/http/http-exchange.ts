// An HTTP request and its response.
import type { FastifyReply, FastifyRequest } from 'fastify'

export interface HttpExchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}
