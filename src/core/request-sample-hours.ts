// The sampled requests of this process in an hour, until they are written. Each row holds the whole of its hour, as in
// activity-hours.ts: a write whose outcome is not known is repeated as it is.
import type { CountedRequest } from './request-sample.js'

export interface SampleRow extends CountedRequest {
  readonly hour: Date
}

export interface SampleHours {
  /** @param at milliseconds since 1970. What is beyond the number of rows is left out */
  add(at: number, requests: readonly CountedRequest[]): void
  /** The rows that have changed since they were written. */
  unwritten(): readonly SampleRow[]
  /** @param rows of the last `unwritten()` */
  written(rows: readonly SampleRow[]): void
}

interface Row extends SampleRow {
  count: number
  changed: boolean
}

const HOUR_MS = 3_600_000

/** @param maxRows of one hour, and of those before it that could not be written */
export function createSampleHours(maxRows = 5_000): SampleHours {
  const rows = new Map<string, Row>()
  let latest = 0
  return {
    add(at, requests) {
      latest = Math.max(latest, Math.floor(at / HOUR_MS) * HOUR_MS) // also where a clock was set back
      for (const request of requests) {
        const id = `${latest} ${request.key}`
        const known = rows.get(id)
        if (known !== undefined) {
          known.count += request.count
          known.changed = true
        } else if (rows.size < maxRows) { // guard: policy-sample-hours-bounded
          rows.set(id, { ...request, hour: new Date(latest), changed: true })
        }
      }
    },
    unwritten: () => [...rows.values()].filter(({ changed }) => changed),
    written(those) {
      for (const row of those as readonly Row[]) row.changed = false
      for (const [id, { hour, changed }] of rows) if (!changed && hour.getTime() < latest) rows.delete(id)
    },
  }
}
