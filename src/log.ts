// The log: one JSON object a line on standard output, or text for people. Errors are written by a list of fields, since
// errors of libraries carry requests, and requests carry cookies and codes.
import { pino, type DestinationStream, type Logger } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './config/config.js'

/** @param fields what every line bears besides */
export function createLogger({ level, format }: Pick<Config['log'], 'level' | 'format'>, destination?: DestinationStream, fields?: () => object): Logger {
  const stream = destination ?? (format === 'text' ? pretty({ colorize: process.stdout.isTTY, ignore: 'pid,hostname' }) : pino.destination({ dest: 1, sync: false }))
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    ...(fields === undefined ? {} : { mixin: fields }),
    serializers: { err: errorFields, error: errorFields, req: () => undefined, res: () => undefined },
  }, stream)
}

/** Name, code, message and stack of an error and of what caused it; nothing else that a library hung on it. */
export function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : { type: typeof error }
  const code = 'code' in error ? { code: error.code } : {}
  const cause = error.cause !== undefined && depth < 4 ? { cause: errorFields(error.cause, depth + 1) } : {}
  // drizzle's message repeats the statement with its parameters.
  const hidden = 'query' in error && 'params' in error
  return { type: error.name, ...code, message: hidden ? 'a statement failed' : error.message, stack: hidden ? undefined : error.stack, ...cause }
}
