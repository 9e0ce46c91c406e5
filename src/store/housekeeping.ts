// Housekeeping, every ten minutes on every replica: what is over is deleted, partitions are made in advance and dropped
// after their retention. What would be missed for good goes only while the database's clock is confirmed.
import type { AuditRetention } from '../core/audit-export.js'
import type { SessionTimeouts } from '../core/session.js'
import { createFallenReviews } from './access-reviews.js'
import { dropActivityDays } from './activity-days.js'
import { keepAuditMonths } from './audit-months.js'
import type { Database } from './database.js'
import { createRetentionClock, type RetentionClockOptions } from './retention-clock.js'
import { sweep } from './sweep.js'

export interface HousekeepingConfig {
  readonly session: SessionTimeouts
  readonly audit: AuditRetention
}

export function createHousekeeping(
  database: Database,
  { session, audit }: HousekeepingConfig,
  options: RetentionClockOptions,
): () => Promise<void> {
  const clock = createRetentionClock(database, options)
  const dropFallenReviews = createFallenReviews(database)
  const { retentionMs } = audit
  const isExported = audit.export !== undefined
  return async () => {
    const isClockConfirmed = await clock.isConfirmed()
    const audited = { retentionMs, isClockConfirmed, isExported }
    const keepMonths = async (): Promise<void> => {
      const { kept } = await keepAuditMonths(database, audited)
      if (kept.length > 0) options.log.warn({ months: kept, remedy: REMEDY }, NOT_EXPORTED)
    }
    await allOf([
      async () => await sweep(database, { ...session, ...audited }),
      keepMonths,
      ...isClockConfirmed ? [async () => await dropActivityDays(database)] : [], // guard: audit-clock-days
      dropFallenReviews,
    ])
  }
}

/** One after the other; one that fails keeps no other from running. @throws the errors of those that failed */
async function allOf(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const errors: unknown[] = []
  for (const step of steps) {
    try {
      await step() // guard: review-steps-alone
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length === 1) throw errors[0]
  if (errors.length > 1) throw new AggregateError(errors, 'steps of the housekeeping failed')
}

const NOT_EXPORTED = 'months of the audit are past audit.retention and are kept: they have events that are not exported'
const REMEDY = 'gatehouse doctor says why the export fails. Without the section audit.export they are dropped.'
