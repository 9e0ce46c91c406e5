// Housekeeping, every ten minutes on every replica: what is over is deleted, partitions are made in advance and dropped
// after their retention. What would be missed for good goes only while the database's clock is confirmed.
import type { SessionTimeouts } from '../core/session.js'
import { createFallenReviews } from './access-reviews.js'
import { dropActivityDays } from './activity-days.js'
import { keepAuditMonths } from './audit-months.js'
import type { Database } from './database.js'
import { createRetentionClock, type RetentionClockOptions } from './retention-clock.js'
import { sweep } from './sweep.js'

export interface HousekeepingConfig {
  readonly session: SessionTimeouts
  readonly audit: { readonly retentionMs: number }
}

export function createHousekeeping(
  database: Database,
  { session, audit: { retentionMs } }: HousekeepingConfig,
  options: RetentionClockOptions,
): () => Promise<void> {
  const clock = createRetentionClock(database, options)
  const dropFallenReviews = createFallenReviews(database)
  return async () => {
    const isClockConfirmed = await clock.isConfirmed()
    await sweep(database, { ...session, retentionMs, isClockConfirmed })
    await dropFallenReviews()
    await keepAuditMonths(database, { retentionMs, isClockConfirmed })
    if (isClockConfirmed) await dropActivityDays(database) // guard: audit-clock-days
  }
}
