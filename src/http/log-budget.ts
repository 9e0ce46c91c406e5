// The log of the HTTP application. Every line that a request causes passes here: client-supplied values are cut, and
// refusals share one budget of lines a second. A line over the budget is counted: by code in the metrics, and in one
// summary line a second.
import type { FastifyBaseLogger } from 'fastify'
import { FAILURES, type ErrorCode } from '../core/errors.js'
import type { Meter } from '../core/meter.js'
import { createLogThrottle } from './log-throttle.js'

export interface LogBudget {
  /** A logger whose lines count against the budget. Children share it. */
  readonly log: FastifyBaseLogger
  /** Whether a refusal of a client without a session gets no line in this second. If so the refusal is counted. */
  withheld(code: ErrorCode): boolean
  /** Counts a refusal that the configuration wants no line for (log.access: none). */
  unlogged(code: ErrorCode): void
  /** Writes the summary of the lines that were withheld until now. */
  close(): void
}

export interface LogBudgetOptions {
  readonly log: FastifyBaseLogger
  readonly meter: Pick<Meter, 'refused'>
  /** Lines a second. */
  readonly budget: number
  /** Monotonic milliseconds. */
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
/** The rest is kept for refusals of people who are signed in, and the last tenth for faults of our own. */
const SHARE = { stranger: 0.8, person: 0.9, fault: 1 } as const // guard: adv-log-budget-kept
/** Lines a second for one fault: while the database is away each request reports the same one. */
const FAULT_LINES = 5
const RATE_LIMITED_EVERY_MS = 60_000
const ADDRESSES = 5_000

export function createLogBudget({ log, meter, budget, now = () => performance.now() }: LogBudgetOptions): LogBudget {
  const seconds = createSecond(budget, now)
  const summary = createSummary(log)
  const rateLimited = createLogThrottle({ intervalMs: RATE_LIMITED_EVERY_MS, capacity: ADDRESSES, now })
  const withhold = (code: string): void => {
    meter.refused(code, true)
    summary.count(code)
  }
  const passes = (level: Level, facts: Facts): boolean => {
    const code = codeOf(facts)
    const seen = code === 'rate_limited' && !rateLimited.admit(String(facts.client)) // guard: adv-log-rate-limited
    if (!seen && seconds.take(kindOf(level, facts), code)) { // guard: adv-log-budget
      meter.refused(code, false)
      return true
    }
    withhold(code)
    return false
  }
  const enabled = (level: Level): boolean => (SEVERITY[level] ?? 0) >= (SEVERITY[log.level] ?? 0)
  /** @param open makes the logger that writes, when a line is to be written: a child is costly in a flood */
  const wrap = (open: () => FastifyBaseLogger): FastifyBaseLogger => {
    let opened: FastifyBaseLogger | undefined
    const writer = (level: Level) => (facts: unknown, ...rest: unknown[]): void => {
      const given: Facts = typeof facts === 'object' && facts !== null ? facts as Facts : {}
      if (!enabled(level)) {
        if (isErrorCode(given.code)) meter.refused(given.code, false)
        return
      }
      if (!passes(level, given)) return
      opened ??= open()
      const write = opened[level] as (...all: unknown[]) => void
      write.call(opened, given === facts ? cutFacts(given) : facts, ...rest)
    }
    return {
      level: log.level,
      fatal: writer('fatal'),
      error: writer('error'),
      warn: writer('warn'),
      info: writer('info'),
      debug: writer('debug'),
      trace: writer('trace'),
      silent: () => {},
      // The options are left out: they hold the framework's serializers, which write more of an error than log.ts does.
      child: (bindings: Facts) => wrap(() => (opened ??= open()).child(bindings)),
    } as unknown as FastifyBaseLogger
  }
  return {
    log: wrap(() => log),
    unlogged: (code) => meter.refused(code, false),
    withheld(code) {
      if (seconds.left('stranger')) return false
      withhold(code)
      return true
    },
    close: () => summary.write(),
  }
}

/** What was written in this second. */
function createSecond(budget: number, now: () => number) {
  let current = -1
  let lines = 0
  const faults = new Map<string, number>() // by code
  const roll = (): void => {
    const second = Math.floor(now() / 1000)
    if (second === current) return
    current = second
    lines = 0
    faults.clear()
  }
  const left = (kind: keyof typeof SHARE): boolean => {
    roll()
    return lines < Math.ceil(budget * SHARE[kind])
  }
  return {
    left,
    take(kind: keyof typeof SHARE, code: string): boolean {
      if (!left(kind)) return false
      const before = faults.get(code) ?? 0
      if (kind === 'fault' && before >= FAULT_LINES) return false // guard: adv-log-faults
      if (kind === 'fault') faults.set(code, before + 1)
      lines++
      return true
    },
  }
}

/** One line a second for what got no line. Codes are few, so the line is short. */
function createSummary(log: FastifyBaseLogger) {
  let requests = 0
  let codes: Record<string, number> = {}
  let timer: NodeJS.Timeout | undefined
  const write = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (requests === 0) return
    const [told, byCode] = [requests, codes]
    requests = 0
    codes = {}
    const facts = { requests: told, codes: byCode }
    log.warn(facts, `${told} more requests were refused; no line was written for each of them`)
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
  // A hint to the operator is written at most once an hour for each cause: a flood must not hide it.
  return username === undefined && hint !== true ? 'stranger' : 'person' // guard: adv-log-hints
}

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(FAILURES, code)
}

/** A label of the metrics: one of our own codes, or `other`. */
function codeOf({ code }: Facts): string {
  return isErrorCode(code) ? code : 'other'
}

const MOST_CHARACTERS = 200
const MOST_CHARACTERS_OF_OURS = 1_000
/** Values that we write ourselves, with at most a few characters of the request in them. */
const OURS: ReadonlySet<string> = new Set(['detail', 'remedy', 'allows'])

/** The same facts, with long strings cut: a client chooses paths, hosts and methods of up to 64 KB. */
export function cutFacts(facts: Facts): Facts {
  let cut: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value !== 'string' || value.length <= MOST_CHARACTERS) continue
    const most = OURS.has(name) ? MOST_CHARACTERS_OF_OURS : MOST_CHARACTERS
    if (value.length > most) (cut ??= { ...facts })[name] = `${value.slice(0, most - 1)}…` // guard: adv-log-cut
  }
  return cut ?? facts
}
