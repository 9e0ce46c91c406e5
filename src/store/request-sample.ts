// Samples requests for previews of drafts: every replica writes what it noted once a minute, as it does with its counts
// (activity.ts). Nothing waits for it.
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { oneAtATime } from '../core/one-at-a-time.js'
import {
  createRequestSample,
  NOTHING_SAMPLED,
  SAMPLE_KEPT_MS,
  type CollectingSample,
  type RequestSample,
} from '../core/request-sample.js'
import { createSampleHours, type SampleRow } from '../core/request-sample-hours.js'
import type { Own } from '../lifecycle.js'
import { startRecurring } from '../recurring.js'
import type { Database, Transaction } from './database.js'
import { createDatabaseClock } from './database-clock.js'
import { ago } from './intervals.js'

export interface RequestSamplingDeps {
  readonly database: Database
  /** Without it nothing is noted and nothing written. */
  readonly enabled: boolean
  /** `access.sample` of the policy in force. */
  readonly perSecond: () => number
  readonly own: Own
  readonly log: { warn(facts: object, text: string): void }
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface RequestSampling {
  readonly sample: RequestSample
  /** Writes what was noted, or deletes all of it where nothing is noted any more. @throws where that failed */
  flush(): Promise<void>
}

const SECOND_MS = 1_000
const FLUSH_INTERVAL_MS = 60_000
/** Rows of one statement. */
const BATCH = 1_000

export function openRequestSample(deps: RequestSamplingDeps): RequestSampling {
  const { enabled, perSecond, own, log } = deps
  if (!enabled) return { sample: NOTHING_SAMPLED, flush: async () => {} } // guard: policy-sample-off
  const sample = createRequestSample(perSecond)
  const flush = createFlush(sample, deps)
  sample.nextSecond()
  const seconds = setInterval(() => sample.nextSecond(), SECOND_MS).unref()
  const flushing = startRecurring(flush, FLUSH_INTERVAL_MS, (error) => {
    if (error instanceof GatehouseError) return // the database is unavailable: others have said so
    log.warn({ err: error }, 'sampled requests could not be written; they are kept and written later')
  }, FLUSH_INTERVAL_MS)
  own('sampled requests', async () => {
    clearInterval(seconds)
    await flushing.stop()
  })
  return { sample, flush }
}

function createFlush(
  sample: CollectingSample,
  { database, perSecond, now = Date.now }: RequestSamplingDeps,
): () => Promise<void> {
  const replica = randomUUID()
  let hours = createSampleHours()
  const clock = createDatabaseClock(database, now)
  let wasOff = false
  const write = async (): Promise<void> => {
    const isOff = perSecond() === 0
    // guard: policy-sample-0
    if (isOff && !wasOff) await database.ask((db) => db.execute(sql`delete from sampled_requests`))
    wasOff = isOff
    if (isOff) {
      sample.take()
      hours = createSampleHours()
      return
    }
    await clock.learn()
    hours.add(clock.at(now()), sample.take())
    const rows = hours.unwritten()
    for (let at = 0; at < rows.length; at += BATCH) {
      const batch = rows.slice(at, at + BATCH)
      await writeSampled(database, replica, batch)
      hours.written(batch)
    }
  }
  return oneAtATime(write)
}

/** Without requests of users who were removed meanwhile; the foreign key refuses those whom the query still sees. */
export async function writeSampled(
  database: Database,
  replica: string,
  rows: readonly SampleRow[],
): Promise<void> {
  const given = JSON.stringify(rows)
  await database.ask((db) =>
    // guard: policy-sample-repeated
    db.execute(sql`
    insert into sampled_requests as known (key, hour, replica, user_id, host, method, path, is_cut, rule, count)
    select key, hour, ${replica}::uuid, "userId", host, method, path, "isCut", rule, count
    from jsonb_to_recordset(${given}::jsonb) as given (key text, hour timestamptz, "userId" uuid, host text,
      method text, path text, "isCut" boolean, rule text, count integer)
    where "userId" is null or exists (select from users u where u.id = "userId")
    on conflict (key, hour, replica) do update set count = excluded.count where known.count < excluded.count`)
  )
}

/** Of whole hours: a request is gone 24 hours after it at the latest. */
export async function dropSampled(tx: Transaction): Promise<void> {
  await tx.execute(sql`delete from sampled_requests where hour < ${ago(SAMPLE_KEPT_MS)}`)
}
