// Reads what was counted: series for charts, and the hits of each access rule. The rows of all processes are added; a
// gauge has one row for an hour.
import { sql, type SQL } from 'drizzle-orm'
import {
  MAX_BUCKETS,
  type ActivityReader,
  type ActivitySeries,
  type Bucket,
  type CountsOfWindows,
  type KeySeries,
  type RuleHits,
  type SeriesQuery,
} from '../core/activity.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'

const MINUTE_MS = 60_000
const SIZE_MS: Readonly<Record<Bucket, number>> = { minute: MINUTE_MS, hour: 60 * MINUTE_MS, day: 1_440 * MINUTE_MS }

export function createActivityReader(database: Database): ActivityReader {
  return {
    async series(query) {
      const { first, end } = bounds(query, typeof query.range === 'number' ? await databaseNow(database) : 0)
      const minutes = query.bucket === 'minute' && query.kind !== 'superusers'
      const counts = createCounts(query, first, end)
      await (minutes ? readMinutes : readHours)(database, query, { first, end, adderOf: counts.adderOf })
      return counts.assemble()
    },
    ruleHits: () => readRuleHits(database),
  }
}

interface Wanted {
  /** Milliseconds since 1970. */
  readonly first: number
  readonly end: number
  /** @returns a function that adds what the key has at a time */
  readonly adderOf: (key: string) => (at: number, count: number) => void
}

/** First bucket and the end of the last one, in milliseconds since 1970. */
function bounds({ range, bucket }: SeriesQuery, now: number): { readonly first: number, readonly end: number } {
  const size = SIZE_MS[bucket]
  const [since, until] = typeof range === 'number'
    ? [now - range, now]
    : [range.since.getTime(), range.until.getTime()]
  const end = Math.ceil(until / size) * size
  const first = Math.floor(since / size) * size
  return { first: Math.max(first, end - MAX_BUCKETS * size), end } // guard: admin-activity-range
}

async function databaseNow(database: Database): Promise<number> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ now: number }>(sql`select extract(epoch from now())::float8 * 1000 as now`)
  )
  return row?.now ?? Date.now()
}

const moment = (ms: number): SQL => sql`${new Date(ms).toISOString()}::timestamptz`

/** One row for each key: so many small rows would take longer to transfer than to add. */
async function readHours(
  database: Database,
  { kind, bucket }: SeriesQuery,
  { first, end, adderOf }: Wanted,
): Promise<void> {
  const value = kind === 'superusers' ? sql`max(count)` : sql`sum(count)`
  const utc = sql`(hour at time zone 'UTC')`
  const start = bucket === 'day' ? sql`date_trunc('day', ${utc})` : utc
  const { rows } = await database.ask((db) =>
    db.execute<{ key: string, seconds: readonly number[], counts: readonly number[] }>(sql`
    select key, json_agg(extract(epoch from start)::bigint) as seconds, json_agg(count) as counts
    from (select ${start} as start, key, ${value} as count from activity_counts
      where kind = ${kind} and hour >= ${moment(first)} and hour < ${moment(end)} group by 1, 2) counted
    group by key`)
  )
  for (const { key, seconds, counts } of rows) {
    const add = adderOf(key)
    for (const [index, second] of seconds.entries()) add(second * 1000, counts[index] ?? 0)
  }
}

async function readMinutes(
  database: Database,
  { kind }: SeriesQuery,
  { first, end, adderOf }: Wanted,
): Promise<void> {
  const { rows } = await database.ask((db) =>
    db.execute<{ key: string, seconds: number, minutes: readonly number[] }>(sql`
    select key, extract(epoch from hour)::float8 as seconds, array_to_json(minutes) as minutes from activity_counts
    where kind = ${kind} and hour > ${moment(first - SIZE_MS.hour)} and hour < ${moment(end)}`)
  )
  for (const { key, seconds, minutes } of rows) {
    const add = adderOf(key)
    for (const [index, count] of minutes.entries()) if (count > 0) add(seconds * 1000 + index * MINUTE_MS, count)
  }
}

function createCounts({ kind, bucket }: SeriesQuery, first: number, end: number) {
  const gauge = kind === 'superusers'
  const size = SIZE_MS[bucket]
  const length = Math.max(0, (end - first) / size)
  const nothing = gauge ? null : 0
  const byKey = new Map<string, (number | null)[]>()
  return {
    adderOf(key: string): (at: number, count: number) => void {
      const counts = byKey.get(key) ?? new Array<number | null>(length).fill(nothing)
      byKey.set(key, counts)
      return (at, count) => {
        const index = (at - first) / size
        if (index < 0 || index >= length) return
        counts[index] = (counts[index] ?? 0) + count
      }
    },
    assemble(): ActivitySeries {
      const within = [...byKey].filter(([, counts]) => counts.some((count) => count !== nothing))
      const series = within.map(([key, counts]): KeySeries => ({ key, counts, total: totalOf(counts, gauge) }))
      return {
        bucket,
        buckets: Array.from({ length }, (_, index) => new Date(first + index * size)),
        series: series.sort((a, b) => (gauge ? 0 : b.total - a.total) || (a.key < b.key ? -1 : 1)),
      }
    },
  }
}

function totalOf(counts: readonly (number | null)[], gauge: boolean): number {
  if (gauge) return counts.findLast((count) => count !== null) ?? 0
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0)
}

interface CountedRow extends Record<'day' | 'week' | 'month', number> {
  readonly kind: 'rule' | 'shadow_refused' | 'shadow_let_in'
  readonly key: string
  readonly last: number | null
  readonly old: boolean
}

async function readRuleHits(database: Database): Promise<readonly RuleHits[]> {
  const within = (days: number): SQL => sql`sum(count) filter (where hour > ${ago(days * SIZE_MS.day)})`
  const { rows } = await database.ask((db) =>
    db.execute<{ [Column in keyof CountedRow]: CountedRow[Column] }>(sql`
    with hits as (
      select kind, key, coalesce(${within(1)}, 0) as day, coalesce(${within(7)}, 0) as week,
        coalesce(${within(30)}, 0) as month, max(hour) filter (where count > 0) as hour,
        kind = 'rule' and min(hour) <= ${ago(30 * SIZE_MS.day)} as old
      from activity_counts where kind in ('rule', 'shadow_refused', 'shadow_let_in') group by kind, key)
    select kind, key, day::float8 as day, week::float8 as week, month::float8 as month, old, (
      select extract(epoch from hits.hour)::float8 * 1000 + (max(ordinal) - 1) * ${MINUTE_MS}
      from activity_counts own, unnest(minutes) with ordinality as each_minute (counted, ordinal)
      where own.kind = 'rule' and hits.kind = 'rule' and own.hour = hits.hour and own.key = hits.key and counted > 0
      ) as last
    from hits where month > 0 or old order by key`)
  )
  return assembleHits(rows)
}

const NONE: CountsOfWindows = { day: 0, week: 0, month: 0 }

/** One entry for each key, of its rows of three kinds. */
function assembleHits(rows: readonly CountedRow[]): readonly RuleHits[] {
  const byKey = new Map<string, RuleHits>()
  for (const { kind, key, day, week, month, last, old } of rows) {
    const hits = byKey.get(key) ??
      { key, ...NONE, lastHit: undefined, refused: NONE, letIn: NONE, countedForMonth: old }
    const counts = { day, week, month }
    const lastHit = month === 0 || last === null ? undefined : new Date(last)
    if (kind === 'rule') byKey.set(key, { ...hits, ...counts, lastHit, countedForMonth: old })
    else byKey.set(key, { ...hits, [kind === 'shadow_refused' ? 'refused' : 'letIn']: counts })
  }
  return [...byKey.values()]
}
