// How many events a batch may have: a receiver with a limit of its own is served, and the event that a receiver refuses
// is found.
import { MAX_EXPORT_EVENTS, type ExportFailureCause } from '../core/audit-export.js'

export interface BatchSize {
  readonly max: () => number
  accepted(events: number): void
  failed(cause: ExportFailureCause, events: number): void
}

/** So long a size that was refused is not tried again: each attempt of it is a failure that is counted. */
const HOLD_MS = 600_000

/** @param now milliseconds of a monotonic clock */
export function createBatchSize(now: () => number): BatchSize {
  let max = MAX_EXPORT_EVENTS
  let failed: { readonly events: number, readonly at: number } | undefined
  return {
    max: () => max,
    accepted(events) {
      // as many as had failed: it was not for their number
      if (failed !== undefined && events >= failed.events) failed = undefined
      // guard: audit-export-size-held
      if (failed === undefined || now() - failed.at >= HOLD_MS) max = Math.min(MAX_EXPORT_EVENTS, max * 2)
    },
    failed(cause, events) {
      if (cause !== 'refused' && cause !== 'timeout') return
      failed = { events, at: now() }
      max = Math.max(1, Math.floor(Math.min(max, events) / 2))
    },
  }
}
