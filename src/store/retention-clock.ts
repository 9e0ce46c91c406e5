// Whether the database's clock may decide what is past its retention. What is deleted by age never comes back, so a
// clock that has jumped ahead must not decide it. Three witnesses are asked: the clock of this process, its monotonic
// clock between two runs, and the audit itself, which was written a day ago if the clock was right a day ago.
import { sql } from 'drizzle-orm'
import type { Database } from './database.js'

export interface RetentionClock {
  /** @throws GatehouseError `database_unavailable` */
  isConfirmed(): Promise<boolean>
}

export interface RetentionClockOptions {
  readonly log: Record<'warn' | 'info', (facts: object, text: string) => void>
  /** Milliseconds since 1970, by the clock of this process. */
  readonly wall?: () => number
  readonly monotonic?: () => number
}

/** Two clocks may differ by so much, and one may lose or gain so much between two runs. */
const TOLERANCE_MS = 3_600_000
/** A clock that has jumped counts again after so long, unless it is set right before. */
const STEADY_MS = 86_400_000

interface Reading extends Record<string, unknown> {
  /** Milliseconds since 1970. */
  readonly at: number
  /** The audit was written when this clock says that it was the day before yesterday or so. */
  readonly wasThere: boolean
}

// guard: audit-clock-yesterday
const READING = sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at, exists (
  select from audit_events where at > now() - interval '3 days' and at < now() - interval '1 day') as "wasThere"`

export function createRetentionClock(
  database: Database,
  { log, wall = Date.now, monotonic = () => performance.now() }: RetentionClockOptions,
): RetentionClock {
  const steadiness = createSteadiness()
  const report = createReport(log)
  return {
    async isConfirmed() {
      const { rows: [reading] } = await database.ask((db) => db.execute<Reading>(READING))
      if (reading === undefined) return false
      const aheadMs = reading.at - wall()
      const { steadyMs, hasJumped } = steadiness.add(reading.at, monotonic())
      const agrees = Math.abs(aheadMs) <= TOLERANCE_MS // guard: audit-clock-agrees
      const isKnown = reading.wasThere || steadyMs >= STEADY_MS // guard: audit-clock-known
      report(findingOf(agrees, hasJumped && !isKnown), aheadMs)
      return agrees && isKnown
    },
  }
}

/** How long the clock has advanced as the monotonic one has. */
function createSteadiness() {
  let first: { readonly at: number, readonly monotonic: number } | undefined
  let hasJumped = false
  return {
    add(at: number, monotonic: number): { readonly steadyMs: number, readonly hasJumped: boolean } {
      const driftMs = first === undefined ? Infinity : at - first.at - (monotonic - first.monotonic)
      if (first === undefined || Math.abs(driftMs) > TOLERANCE_MS) { // guard: audit-clock-steady
        hasJumped = first !== undefined
        first = { at, monotonic }
      }
      return { steadyMs: monotonic - first.monotonic, hasJumped }
    },
  }
}

type Finding = 'agrees' | 'differs' | 'jumped'

function findingOf(agrees: boolean, hasJumped: boolean): Finding {
  if (!agrees) return 'differs'
  return hasJumped ? 'jumped' : 'agrees'
}

/** Each change is logged once. */
function createReport(log: RetentionClockOptions['log']): (finding: Finding, aheadMs: number) => void {
  let last: Finding = 'agrees'
  return (finding, aheadMs) => {
    if (finding === last) return
    last = finding
    if (finding === 'agrees') return log.info({}, 'the clock of the database is confirmed: expired rows are deleted')
    const text = finding === 'differs'
      ? 'the clock of the database differs from the clock of this replica'
      : 'the clock of the database has jumped'
    log.warn({ aheadMs: Math.round(aheadMs), remedy: REMEDY }, `${text}: no audit rows are deleted`)
  }
}

const REMEDY =
  'Synchronise the clocks of the database and of this machine (NTP). A clock that has jumped counts again ' +
  'when it was steady for a day.'
