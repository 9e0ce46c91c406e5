// What this process has counted in the latest hours, by minute, until it is written. Each row holds the whole of its
// hour, so that a row may be written any number of times: a write whose outcome is not known is repeated as it is.
import { OTHER_KEYS, type ActivityKind } from './activity.js'
import type { ActivityCount } from './activity-counters.js'

export interface ActivityRow {
  readonly hour: Date
  readonly kind: ActivityKind
  readonly key: string
  /** The sum of the minutes. */
  readonly count: number
  /** One for each minute of the hour. */
  readonly minutes: readonly number[]
}

export interface ActivityHours {
  /** @param at milliseconds since 1970 @returns how many counts were dropped, of the oldest hours */
  add(at: number, counts: readonly ActivityCount[]): number
  /** The rows that have changed since they were written, the oldest first. */
  unwritten(): readonly ActivityRow[]
  /** @param rows of the last `unwritten()` */
  written(rows: readonly ActivityRow[]): void
}

export interface ActivityHoursOptions {
  /** Keys of an hour, over all kinds; more are counted together, as OTHER_KEYS. */
  readonly maxKeys?: number
  /** Rows in memory, while they cannot be written. */
  readonly maxRows?: number
}

interface Row extends ActivityRow {
  count: number
  readonly minutes: number[]
  changed: boolean
}

interface Hour {
  readonly start: number
  readonly rows: Map<string, Row>
}

const HOUR_MS = 3_600_000

export function createActivityHours(
  { maxKeys = 500, maxRows = 5_000 }: ActivityHoursOptions = {},
): ActivityHours {
  let hours: Hour[] = []
  const latestAt = (at: number): Hour => {
    const last = hours.at(-1)
    const start = Math.floor(at / HOUR_MS) * HOUR_MS
    // a clock that was set back: what its hour has already written is not in memory any more
    if (last !== undefined && last.start >= start) return last // guard: admin-activity-clock
    const hour: Hour = { start, rows: new Map() }
    hours.push(hour)
    return hour
  }
  return {
    add(at, counts) {
      if (counts.length === 0) return 0
      const hour = latestAt(at)
      const minute = Math.min(59, Math.max(0, Math.floor((at - hour.start) / 60_000)))
      for (const each of counts) addTo(hour, minute, each, maxKeys)
      return dropOldest(hours, maxRows)
    },
    unwritten: () => hours.flatMap(({ rows }) => [...rows.values()].filter(({ changed }) => changed)),
    written(rows) {
      for (const row of rows as readonly Row[]) row.changed = false
      const last = hours.at(-1)
      hours = hours.filter((hour) => hour === last || [...hour.rows.values()].some(({ changed }) => changed))
    },
  }
}

function addTo({ start, rows }: Hour, minute: number, { kind, key, count }: ActivityCount, maxKeys: number): void {
  const known = rows.get(`${kind} ${key}`)
  const counted = known !== undefined || rows.size < maxKeys ? key : OTHER_KEYS // guard: admin-activity-bounded
  const id = `${kind} ${counted}`
  const row = known ?? rows.get(id) ??
    { hour: new Date(start), kind, key: counted, count: 0, minutes: new Array<number>(60).fill(0), changed: true }
  rows.set(id, row)
  row.count += count
  row.minutes[minute] = (row.minutes[minute] ?? 0) + count
  row.changed = true
}

/** The latest hour stays. */
function dropOldest(hours: Hour[], maxRows: number): number {
  let dropped = 0
  let rows = hours.reduce((sum, hour) => sum + hour.rows.size, 0)
  while (rows > maxRows && hours.length > 1) { // guard: admin-activity-outage-bounded
    const [oldest] = hours.splice(0, 1)
    rows -= oldest?.rows.size ?? 0
    for (const { changed, count } of oldest?.rows.values() ?? []) dropped += changed ? count : 0
  }
  return dropped
}
