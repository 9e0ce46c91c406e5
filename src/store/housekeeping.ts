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
    await sweep(database, { ...session, retentionMs, isClockConfirmed, isExported })
    await dropFallenReviews()
    const { kept } = await keepAuditMonths(database, { retentionMs, isClockConfirmed, isExported })
    if (kept.length > 0) options.log.warn({ months: kept, remedy: REMEDY }, NOT_EXPORTED)
    if (isClockConfirmed) await dropActivityDays(database) // guard: audit-clock-days
  }
}

const NOT_EXPORTED = 'months of the audit are past audit.retention and are kept: they have events that are not exported'
const REMEDY = 'gatehouse doctor says why the export fails. Without the section audit.export they are dropped.'
