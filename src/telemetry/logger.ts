// The log: one JSON object per line on standard output, or text for people. Errors are written by a list of fields:
// errors of libraries contain requests, and requests contain cookies and codes. Control characters are always escaped.
import { pino, type DestinationStream, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { Config } from '../config/config.js'

/**
 * @param fields what every line bears besides
 * @param destination in place of standard output
 */
export function createLogger(
  { level, format }: Pick<Config['log'], 'level' | 'format'>,
  destination: DestinationStream = standardOutput(),
  fields?: () => object,
): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    ...(fields === undefined ? {} : { mixin: fields }),
    serializers: { err: errorFields, error: errorFields, req: () => undefined, res: () => undefined },
    hooks: { streamWrite: streamWrite(format) },
  }, destination)
}

export interface LogOutput {
  readonly destination: DestinationStream
  /** Writes a line that a worker has written: JSON, where it comes from its log. */
  forward(line: string, worker: number): void
}

const MAX_FOREIGN_CHARACTERS = 200

/** Standard output of a worker: nothing more is written to it when the primary process, which reads it, is gone. */
export function workerOutput(): DestinationStream {
  return standardOutput(['EIO', 'EPIPE']) // guard: workers-closed-pipe
}

/** Standard output, for this process and its workers: lines of several processes would otherwise mix. */
export function openLogOutput(
  { format }: Pick<Config['log'], 'format'>,
  destination: DestinationStream = standardOutput(),
): LogOutput {
  const written = streamWrite(format)
  return {
    destination,
    forward(line, worker) {
      destination.write(written(`${isObject(line) ? line : foreign(line, worker)}\n`)) // guard: workers-foreign-lines
    },
  }
}

/** Whether a line of standard output comes from a log. */
function isObject(line: string): boolean {
  if (!line.startsWith('{')) return false
  try {
    return typeof JSON.parse(line) === 'object'
  } catch {
    return false
  }
}

/** The log line for what something else than the log wrote: a module that NODE_OPTIONS names, for example. */
function foreign(line: string, worker: number): string {
  const output = line.slice(0, MAX_FOREIGN_CHARACTERS)
  const msg = 'a worker wrote to its standard output what is no log line'
  return JSON.stringify({ level: 'warn', time: new Date().toISOString(), worker, output, msg })
}

function streamWrite(format: Config['log']['format']): (line: string) => string {
  return logsText(format) ? asText() : withoutControls // guard: adv-log-controls
}

/**
 * Nothing more is written to a terminal that was closed, as pino does for a closed pipe. Otherwise the error would end
 * the process, and at its end pino tries to write the rest for ever: it would hang with its port and its database.
 */
function standardOutput(closed: readonly string[] = ['EIO']): DestinationStream {
  const destination = pino.destination({ dest: 1, sync: false })
  destination.on('error', (error: NodeJS.ErrnoException) => {
    if (!closed.includes(error.code ?? '')) throw error
    Object.assign(destination, { write: () => true, flush() {}, flushSync() {}, end() {} })
  })
  return destination
}

/** Whether the log is for people. */
export function logsText(format: Config['log']['format']): boolean {
  return format === 'text' || (format === 'auto' && process.stdout.isTTY)
}

/**
 * What a terminal or a log viewer takes for a command or for the end of a line, and JSON leaves as it is: DEL, the C1
 * controls (U+009B begins an escape sequence), line and paragraph separators, and the characters that reorder text.
 */
const CONTROLS = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** @param line JSON: the escapes are JSON's own, so that a reader gets the value as it was */
function withoutControls(line: string): string {
  return line.replace(CONTROLS, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Text for people. Messages and stacks are the two values that are printed without being quoted. */
function asText(): (line: string) => string {
  const colorize = process.stdout.isTTY && (process.env.NO_COLOR ?? '') === ''
  const prettify = prettyFactory({ colorize, ignore: 'pid,hostname', translateTime: false }) // ISO 8601, UTC
  const readable = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value
    if (key === 'msg') return value.replace(/\p{Cc}/gu, escaped) // guard: adv-log-controls-text
    return key === 'stack' ? value.replace(/(?!\n)\p{Cc}/gu, escaped) : value
  }
  return (line) => withoutControls(prettify(JSON.parse(line, readable) as object))
}

/** Name, code, message and stack of an error and of what caused it; nothing else that a library hung on it. */
export function errorFields(error: unknown, depth = 0): unknown {
  // guard: security-log-fields
  if (!(error instanceof Error)) return typeof error === 'string' ? error : { type: typeof error }
  const code = 'code' in error && isScalar(error.code) ? { code: error.code } : {}
  const cause = error.cause !== undefined && depth < 4 ? { cause: errorFields(error.cause, depth + 1) } : {}
  // drizzle's message repeats the statement with its parameters.
  const hidden = 'query' in error && 'params' in error
  return {
    type: error.name,
    ...code,
    message: hidden ? 'a statement failed' : error.message,
    stack: hidden ? undefined : error.stack,
    ...cause,
  }
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}
