// The access log of the auth endpoints (log.access). Refusals share the line budget of all refused requests
// (http/log-budget.ts).
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../core/errors.js'
import type { Target } from '../../core/target.js'
import { cutFacts, type LogBudget } from '../log-budget.js'

export interface AnswerLog {
  line(request: FastifyRequest, target: Target | undefined, status: number, facts: AnswerFacts): void
  /** True if another 401 in this second gets no line. It is then counted. */
  alreadyFull(): boolean
}

export interface AnswerFacts {
  /** Present for refusals. */
  readonly code?: ErrorCode
  readonly username?: string | undefined
  readonly rule?: string | undefined
  readonly allows?: string
}

export interface AnswerLogOptions {
  /** For 200 responses, which `access: all` enables. They do not count against the budget. */
  readonly log: FastifyBaseLogger
  readonly budget: LogBudget
  /** Which responses are logged. With `none` refusals are only counted. */
  readonly access: 'denied' | 'all' | 'none'
}

export function createAnswerLog({ log, budget, access }: AnswerLogOptions): AnswerLog {
  return {
    alreadyFull() {
      if (access !== 'none') return budget.withheld('not_signed_in')
      budget.unlogged('not_signed_in')
      return true
    },
    line(request, target, status, facts) {
      if (access === 'none') return facts.code === undefined ? undefined : budget.unlogged(facts.code)
      if (status === 200 && access !== 'all') return
      const place = target && { host: target.host, path: target.path, method: target.method }
      const all = { correlationId: request.id, ...facts, status, client: request.ip, ...place }
      if (status === 200) log.info(cutFacts(all), 'access allowed')
      else budget.log.info(all, 'access denied')
    },
  }
}
