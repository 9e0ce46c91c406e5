// Counts what the installation does, for the console: every replica writes its counts once a minute. Nothing waits for
// it, and what cannot be written is kept and written later.
import { randomUUID } from 'node:crypto'
import { createActivityCounters, NOTHING_COUNTED, type ActivityCounters } from '../core/activity-counters.js'
import { createActivityHours } from '../core/activity-hours.js'
import type { ActivityReader } from '../core/activity.js'
import { GatehouseError } from '../core/errors.js'
import { oneAtATime } from '../core/one-at-a-time.js'
import type { Own } from '../lifecycle.js'
import { startRecurring } from '../recurring.js'
import { makeActivityDays } from './activity-days.js'
import { createActivityReader } from './activity-reader.js'
import { writeActivity, writeRulesInForce, writeSuperusers } from './activity-rows.js'
import type { Database } from './database.js'
import { createDatabaseClock } from './database-clock.js'

export interface ActivityDeps {
  readonly database: Database
  /** Without it nothing is counted and nothing written. */
  readonly enabled: boolean
  readonly own: Own
  readonly log: Pick<ActivityLog, 'warn'>
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

interface ActivityLog {
  warn(facts: object, text: string): void
}

export interface Activity {
  readonly counters: ActivityCounters
  readonly reader: ActivityReader
  /** Writes what was counted. @throws where it could not be written: it is kept */
  flush(): Promise<void>
}

const FLUSH_INTERVAL_MS = 60_000
const CLOSE_TIMEOUT_MS = 2_000

export function openActivity({ database, enabled, own, log, now = Date.now }: ActivityDeps): Activity {
  const reader = createActivityReader(database)
  if (!enabled) return { counters: NOTHING_COUNTED, reader, flush: async () => {} } // guard: admin-activity-off
  const counters = createActivityCounters()
  const flush = createFlush({ database, counters, log, now })
  const report = (error: unknown): void => {
    if (error instanceof GatehouseError) return // the database is unavailable: others have said so
    log.warn({ err: error }, 'the counts for the console could not be written; they are kept and written later')
  }
  const flushing = startRecurring(flush, FLUSH_INTERVAL_MS, report, FLUSH_INTERVAL_MS)
  own('activity counts', async () => {
    const last = async (): Promise<void> => {
      await flushing.stop()
      await flush().catch(report)
    }
    await Promise.race([last(), new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())])
  })
  return { counters, reader, flush }
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function createFlush({ database, counters, log, now }: Required<Pick<ActivityDeps, 'database' | 'log' | 'now'>> & {
  counters: ActivityCounters
}): () => Promise<void> {
  const replica = randomUUID()
  const hours = createActivityHours()
  const clock = createDatabaseClock(database, now)
  const days = onceIn(DAY_MS, () => makeActivityDays(database))
  const gauges = onceIn(HOUR_MS, () => writeSuperusers(database))
  let inForce: readonly string[] = []
  const rules = onceIn(DAY_MS, () => writeRulesInForce(database, inForce))
  let taken = now()
  const flush = async (): Promise<void> => {
    await clock.learn()
    const since = taken
    taken = now()
    const dropped = hours.add(clock.at((since + taken) / 2), counters.take())
    if (dropped > 0) log.warn({ dropped }, 'counts for the console were dropped: they could not be written for hours')
    await days.run(clock.at(taken))
    const rows = hours.unwritten()
    try {
      if (rows.length > 0) clock.set(await writeActivity(database, replica, rows))
    } catch (error) {
      days.forget() // a failover may have lost a partition
      throw error
    }
    hours.written(rows)
    if (inForce !== counters.ruleKeys()) rules.forget()
    inForce = counters.ruleKeys()
    if (inForce.length > 0) await rules.run(clock.at(taken))
    await gauges.run(clock.at(taken))
  }
  return oneAtATime(flush)
}

/** Work that is done once in each period; a failure is no reason not to try again. */
function onceIn(periodMs: number, work: () => Promise<unknown>) {
  let done: number | undefined
  return {
    async run(at: number): Promise<void> {
      const period = Math.floor(at / periodMs)
      if (period === done) return
      await work()
      done = period
    },
    forget(): void {
      done = undefined
    },
  }
}
