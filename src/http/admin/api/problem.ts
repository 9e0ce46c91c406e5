// Errors of the API: `application/problem+json` (RFC 9457) with the stable codes of src/core/errors.ts.
import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { FAILURES, type ErrorCode, type GatehouseError } from '../../../core/errors.js'
import { challenge, JSON_ANSWER, RETRY_AFTER_SECONDS, sendError, type SendError } from '../../errors.js'

export const API_PATH = '/admin/api'
export const PROBLEM_TYPE = 'application/problem+json'

/** What every endpoint can answer. */
export const COMMON_PROBLEMS: readonly ErrorCode[] = [
  'request_malformed',
  'query_unknown',
  'query_duplicate',
  'admin_sign_in_required',
  'admin_token_invalid',
  'not_allowed',
  'not_found',
  'rate_limited',
  'internal',
  'database_unavailable',
]

/** What every endpoint can answer beside those, where it is not read with GET. */
export const UNSAFE_PROBLEMS: readonly ErrorCode[] = ['form_refused']

/** Addresses that the router refuses are below the API too: the address as the client sent it decides. */
export function isApiRequest({ originalUrl }: Pick<FastifyRequest, 'originalUrl'>): boolean {
  return /^\/admin\/api(?:[/?#]|$)/.test(originalUrl)
}

/** For an instance that has the API: problems below it, pages and JSON elsewhere. */
export const sendErrorOrProblem: SendError = (error, request, reply, settings) =>
  (isApiRequest(request) ? sendProblem : sendError)(error, request, reply, settings)

export function sendProblem(
  error: GatehouseError,
  request: FastifyRequest,
  reply: FastifyReply,
  settings: { readonly publicUrl: string },
): FastifyReply {
  const { status, code, sentence } = error
  const { parameter, stepUp, missing } = error.facts
  if (status === 401) reply.header('www-authenticate', challengeOf(code, settings))
  if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  return reply.code(status).headers(JSON_ANSWER).type(PROBLEM_TYPE).send(JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: sentence,
    code,
    correlationId: request.id,
    ...(typeof parameter === 'string' ? { parameter } : {}),
    ...(typeof stepUp === 'string' ? { stepUp } : {}),
    ...(typeof missing === 'number' ? { missing } : {}),
  }))
}

function challengeOf(code: ErrorCode, settings: { readonly publicUrl: string }): string {
  // RFC 6750 section 3.1
  if (code === 'admin_token_invalid') return `Bearer realm="${settings.publicUrl}", error="invalid_token"`
  return challenge(settings)
}

/** The schema of every problem, for the OpenAPI document. */
export const PROBLEM_SCHEMA = {
  type: 'object',
  description: 'An error (RFC 9457).',
  additionalProperties: false,
  required: ['type', 'title', 'status', 'detail', 'code', 'correlationId'],
  properties: {
    type: { type: 'string', const: 'about:blank', description: '`code` says more than a type could.' },
    title: { type: 'string', description: 'The name of the HTTP status.' },
    status: { type: 'integer', description: 'The HTTP status.' },
    detail: { type: 'string', description: 'One sentence for people. It may change; `code` does not.' },
    code: { type: 'string', description: 'What happened: docs/errors.md describes each code.' },
    correlationId: { type: 'string', description: 'The same as in the log and in the audit record.' },
    parameter: { type: 'string', description: 'The parameter that was refused.' },
    stepUp: { type: 'string', description: 'Where a browser signs in anew, for `step_up_required`.' },
    missing: { type: 'integer', description: 'How many are missing, for `policy_approvals_missing`.' },
  },
} as const

export function statusOf(code: ErrorCode): number {
  return FAILURES[code].status
}
