// An error on its way from a worker to the primary process: what a log line needs of it, and nothing else that a
// library added to it.
import { FAILURES, GatehouseError, type ErrorCode } from '../core/errors.js'

export interface SentError {
  /** Undefined: not an error of Gatehouse. */
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly remedy: string | undefined
  /** JSON. */
  readonly facts: string
}

export function sendable(error: unknown): SentError {
  const message = error instanceof Error ? error.message : String(error)
  const stack = error instanceof Error ? error.stack : undefined
  if (!(error instanceof GatehouseError)) return { code: undefined, message, stack, remedy: undefined, facts: '{}' }
  return { code: error.code, message, stack, remedy: error.remedy, facts: JSON.stringify(error.facts) }
}

export function received({ code, message, stack, remedy, facts }: SentError): Error {
  if (code === undefined || !Object.hasOwn(FAILURES, code)) {
    const error = new Error(message)
    if (stack !== undefined) error.stack = stack
    return error
  }
  return new GatehouseError(code, {
    detail: message,
    facts: JSON.parse(facts) as Record<string, unknown>,
    ...(remedy === undefined ? {} : { remedy }),
  })
}
