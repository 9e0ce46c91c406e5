// An error on its way from a worker to the primary process: what a log line needs of it, and nothing else that a
// library added to it. The log of the primary process has the fields that the log of a single process has.
import { FAILURES, GatehouseError, type ErrorCode } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { errorFields } from '../telemetry/logger.js'

export interface SentError {
  /** Undefined: not an error of Gatehouse. */
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly remedy: string | undefined
  /** JSON. */
  readonly facts: string
  readonly stack: string | undefined
  /** JSON: what the log prints of the error, or of the cause of an error of Gatehouse. Undefined: without a cause. */
  readonly fields: string | undefined
}

export function sendable(error: unknown): SentError {
  if (!(error instanceof GatehouseError)) {
    const message = error instanceof Error ? error.message : String(error)
    return { code: undefined, message, remedy: undefined, facts: '{}', stack: undefined, fields: fieldsOf(error) }
  }
  const { code, message, remedy, stack, cause } = error
  const fields = cause === undefined ? undefined : fieldsOf(cause)
  return { code, message, remedy, facts: JSON.stringify(error.facts), stack, fields }
}

/** What is kept of an error is chosen by the log: its fields contain no statement and no request of a library. */
function fieldsOf(error: unknown): string | undefined {
  return JSON.stringify(errorFields(error)) // guard: workers-sent-fields
}

export function received({ code, message, remedy, facts, stack, fields }: SentError): Error {
  const described: unknown = fields === undefined ? undefined : JSON.parse(fields)
  if (code === undefined || !Object.hasOwn(FAILURES, code)) {
    const error = rebuilt(described)
    return error instanceof Error ? error : new Error(message)
  }
  const error = new GatehouseError(code, {
    detail: message,
    facts: JSON.parse(facts) as Record<string, unknown>,
    ...(remedy === undefined ? {} : { remedy }),
    ...(described === undefined ? {} : { cause: rebuilt(described) }),
  })
  return withStack(error, stack)
}

/** The error that the log prints with these fields. */
function rebuilt(fields: unknown): unknown {
  if (!isRecord(fields) || typeof fields.message !== 'string') return fields
  const cause = 'cause' in fields ? { cause: rebuilt(fields.cause) } : undefined
  const error = Object.assign(new Error(fields.message, cause), 'code' in fields ? { code: fields.code } : {})
  error.name = String(fields.type)
  return withStack(error, typeof fields.stack === 'string' ? fields.stack : undefined)
}

/** Where the worker threw it: the place in this process says nothing. */
function withStack<E extends Error>(error: E, stack: string | undefined): E {
  if (stack === undefined) delete error.stack
  else error.stack = stack
  return error
}
