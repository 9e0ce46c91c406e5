// The log of the HTTP application. All lines that requests cause pass through it: client-supplied values are truncated,
// and refusals share a budget of lines per second. A line over the budget is counted, by code in the metrics and in one
// summary line per second.
import type { FastifyBaseLogger } from 'fastify'
import { FAILURES, type ErrorCode } from '../core/errors.js'
import type { Meter } from '../core/meter.js'
import { machineClock, partOf, type Place, type Siblings } from '../core/siblings.js'
import { createLogThrottle } from './log-throttle.js'

export interface LogBudget {
  /** A logger whose lines count against the budget. Children share it. */
  readonly log: FastifyBaseLogger
  /** True if the budget for anonymous clients is used up in this second. The refusal is then counted. */
  withheld(code: ErrorCode): boolean
  /** Counts a refusal for which the configuration disables the line (log.access: none). */
  unlogged(code: ErrorCode): void
  /** Writes the summary of the withheld lines. */
  close(): void
}

export interface LogBudgetOptions {
  readonly log: FastifyBaseLogger
  readonly meter: Pick<Meter, 'refused'>
  /** Lines per second. */
  readonly budget: number
  /** The other workers of this machine: the budget is that of all of them together. */
  readonly siblings?: Siblings | undefined
  /** Monotonic milliseconds; the same clock for all workers, so that their seconds begin at the same time. */
  readonly now?: () => number
}

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace'
type Facts = Readonly<Record<string, unknown>>

const SEVERITY: Readonly<Record<string, number>> = {
  silent: Infinity,
  fatal: 60,
  error: 50,
  warn: 40,
  info: 30,
  debug: 20,
  trace: 10,
}
/** Shares of the budget: a fifth is reserved for signed-in users and faults, of that half for faults of Gatehouse. */
const SHARE = { anonymous: 0.8, user: 0.9, fault: 1 } as const // guard: adv-log-budget-kept
/** Lines per second for one fault: while the database is unreachable every request reports the same one. */
const MAX_FAULT_LINES = 5
const RATE_LIMITED_INTERVAL_MS = 60_000
const MAX_ADDRESSES = 5_000

export function createLogBudget({ log, meter, budget, siblings, now = machineClock }: LogBudgetOptions): LogBudget {
  const seconds = createSecond(budget, now, siblings)
  const summary = createSummary(log)
  const rateLimited = createLogThrottle({
    intervalMs: RATE_LIMITED_INTERVAL_MS,
    capacity: MAX_ADDRESSES,
    now,
    announcements: siblings?.announcements('rateLimited'),
  })
  const withhold = (code: string): void => {
    meter.refused(code, true)
    summary.count(code)
  }
  const admit: Admission = (level, facts) => {
    const code = codeOf(facts)
    const limited = code === 'rate_limited'
    const repeated = limited && !rateLimited.admit(String(facts.client)) // guard: adv-log-rate-limited
    if (!repeated && seconds.take(kindOf(level, facts), code)) { // guard: adv-log-budget
      if (limited) rateLimited.written(String(facts.client))
      meter.refused(code, false)
      return true
    }
    withhold(code)
    return false
  }
  const unlogged = (code: ErrorCode): void => meter.refused(code, false)
  return {
    log: wrapLogger({ root: log, open: () => log, admit, unlogged }),
    unlogged,
    withheld(code) {
      if (seconds.left('anonymous')) return false
      withhold(code)
      return true
    },
    close: () => summary.write(),
  }
}

/** Whether a line may be written. A line that may not is counted. */
type Admission = (level: Level, facts: Facts) => boolean

interface WrappedLogger {
  /** Its level applies to the children too. */
  readonly root: FastifyBaseLogger
  /** Creates the logger that writes. Called for the first line that is written: a child is costly in a flood. */
  readonly open: () => FastifyBaseLogger
  readonly admit: Admission
  readonly unlogged: (code: ErrorCode) => void
}

function wrapLogger({ root, open, admit, unlogged }: WrappedLogger): FastifyBaseLogger {
  let opened: FastifyBaseLogger | undefined
  const enabled = (level: Level): boolean => (SEVERITY[level] ?? 0) >= (SEVERITY[root.level] ?? 0)
  const writer = (level: Level) => (facts: unknown, ...rest: unknown[]): void => {
    const given: Facts = typeof facts === 'object' && facts !== null ? facts as Facts : {}
    if (!enabled(level)) {
      if (isErrorCode(given.code)) unlogged(given.code)
      return
    }
    if (!admit(level, given)) return
    opened ??= open()
    const write = opened[level] as (...all: unknown[]) => void
    write.call(opened, given === facts ? cutFacts(given) : facts, ...rest)
  }
  const child = (bindings: Facts): FastifyBaseLogger =>
    wrapLogger({ root, open: () => (opened ??= open()).child(bindings), admit, unlogged })
  return {
    level: root.level,
    fatal: writer('fatal'),
    error: writer('error'),
    warn: writer('warn'),
    info: writer('info'),
    debug: writer('debug'),
    trace: writer('trace'),
    silent: () => {},
    // Fastify's child options are dropped: its serializers log more of an error than telemetry/logger.ts does.
    child,
  } as unknown as FastifyBaseLogger
}

/** How many lines may be written in a second: by kind, and for one fault. */
type Limits = Readonly<Record<keyof typeof SHARE | 'oneFault', number>>

function limitsOf(budget: number, second: number, place: Place = { number: 1, count: 1 }): Limits {
  const part = (total: number): number => partOf(total, place, second)
  const limits = {
    anonymous: part(Math.ceil(budget * SHARE.anonymous)),
    user: part(Math.ceil(budget * SHARE.user)),
    fault: part(Math.ceil(budget * SHARE.fault)),
    oneFault: part(MAX_FAULT_LINES),
  }
  return place.count === 1 ? limits : withReserve(limits)
}

/**
 * Of a worker: its part may be less than a line, but in no second may it be without one for a user or a hint, and
 * without one for each fault. So the sum of all workers may be more than the budget, by two lines for each worker.
 */
function withReserve({ anonymous, ...limits }: Limits): Limits {
  const user = Math.max(limits.user, anonymous + 1)
  const fault = Math.max(limits.fault, user + 1)
  return { anonymous, user, fault, oneFault: Math.max(limits.oneFault, 1) } // guard: workers-faults-logged
}

/** Counts the lines of the current second. */
function createSecond(budget: number, now: () => number, place: Place | undefined) {
  let current = -1
  let limits = limitsOf(budget, 0, place)
  let lines = 0
  const faults = new Map<string, number>() // by code
  const roll = (): void => {
    const second = Math.floor(now() / 1000)
    if (second === current) return
    current = second
    limits = limitsOf(budget, second, place)
    lines = 0
    faults.clear()
  }
  const left = (kind: keyof typeof SHARE): boolean => {
    roll()
    return lines < limits[kind]
  }
  return {
    left,
    take(kind: keyof typeof SHARE, code: string): boolean {
      if (!left(kind)) return false
      const before = faults.get(code) ?? 0
      if (kind === 'fault' && before >= limits.oneFault) return false // guard: adv-log-faults
      if (kind === 'fault') faults.set(code, before + 1)
      lines++
      return true
    },
  }
}

/** Writes one line per second for the withheld lines. There are few codes, so the line is short. */
function createSummary(log: FastifyBaseLogger) {
  let requests = 0
  let codes: Record<string, number> = {}
  let timer: NodeJS.Timeout | undefined
  const write = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (requests === 0) return
    const [total, byCode] = [requests, codes]
    requests = 0
    codes = {}
    const facts = { requests: total, codes: byCode }
    log.warn(facts, `${total} more requests were refused without a line of their own`)
  }
  return {
    write,
    count(code: string): void {
      requests++
      codes[code] = (codes[code] ?? 0) + 1
      timer ??= setTimeout(write, 1_000).unref()
    },
  }
}

function kindOf(level: Level, { username, hint }: Facts): keyof typeof SHARE {
  if (level === 'error' || level === 'fatal') return 'fault'
  // Hints for the operator are written at most once an hour for each cause; a flood must not suppress them.
  return username === undefined && hint !== true ? 'anonymous' : 'user' // guard: adv-log-hints
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(FAILURES, code)
}

/** A label of the metrics: an error code of Gatehouse, or `other`. */
function codeOf({ code }: Facts): string {
  return isErrorCode(code) ? code : 'other'
}

const MAX_CHARACTERS = 200
const MAX_OWN_CHARACTERS = 1_000
/** Fields that Gatehouse writes, with at most a few characters of the request in them. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['detail', 'remedy', 'allows'])

/** Truncates long strings: clients choose paths, hosts and methods of up to 64 KB. */
export function cutFacts(facts: Facts): Facts {
  let cut: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value !== 'string' || value.length <= MAX_CHARACTERS) continue
    const limit = OWN_FIELDS.has(name) ? MAX_OWN_CHARACTERS : MAX_CHARACTERS
    if (value.length > limit) (cut ??= { ...facts })[name] = `${value.slice(0, limit - 1)}…` // guard: adv-log-cut
  }
  return cut ?? facts
}
