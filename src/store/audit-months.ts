// The record's table has a partition for each month (UTC): a month that is past its retention is dropped in an instant,
// where deleting its rows would take as long as writing them did. Rows of a month without a partition are kept in the
// default one, so that no sign-in ever fails for the lack of it.
import { sql, type SQL } from 'drizzle-orm'
import { hasUndelivered } from './audit-export-queue.js'
import type { Database, Transaction } from './database.js'
import { ago } from './intervals.js'

/** Partitions exist for this month and as many months after it. */
const MONTHS_AHEAD = 3
/** A shorter retention is kept to the row (sweep.ts), a longer one to the month. */
const LEAST_RETENTION_MS = 90 * 86_400_000

/** Of months: `audit_events_2026_11`; `audit_events_before` has what is older than the partitions. */
const NAME = /^audit_events_(?:\d{4}_\d{2}|before)$/

/** More rows than these are not moved out of the default partition: it is locked for so long. */
const MAX_MOVED = 10_000

/** No sign-in waits for longer than this behind a change of the partitions, which is tried again at the next sweep. */
const LOCK_TIMEOUT = sql`set local lock_timeout = '1s'`

/** One replica at a time: what a month holds is read before it is dropped, and two that had read it would deadlock. */
const IN_TURN = sql`select pg_advisory_xact_lock(hashtextextended('gatehouse audit months', 0))`

/** What a trigger lets delete rows of the record (migrations/0019_audit_seals.sql). */
export const HOUSEKEEPING = sql`select set_config('gatehouse.audit', 'housekeeping', true)`

/** Whether expired rows are deleted one by one, and not with their month. */
export function keptToTheRow(retentionMs: number): boolean {
  return retentionMs < LEAST_RETENTION_MS
}

/** Rows of partitions that are not those of a month. */
export const OUTSIDE_OF_MONTHS = sql`tableoid = any(array[to_regclass('audit_events_before'),
  to_regclass('audit_events_default')]::oid[])`

export interface MonthsOptions {
  readonly retentionMs: number
  /** False: no partition is dropped (retention-clock.ts). */
  readonly isClockConfirmed: boolean
  /** Whether a month stays until all of its rows are exported (audit-export-queue.ts). */
  readonly isExported: boolean
}

/**
 * Makes the partitions of the coming months and drops those that are past the retention.
 * @returns their names; `kept`: those that are past the retention and have rows that are not exported
 */
export async function keepAuditMonths(
  database: Database,
  { retentionMs, isClockConfirmed, isExported }: MonthsOptions,
): Promise<Record<'made' | 'dropped' | 'kept', readonly string[]>> {
  const { rows: months } = await database.ask((db) => db.execute<Month>(missingMonths()))
  for (const month of months) await database.transaction((tx) => makeMonth(tx, month))
  const made = months.map(({ name }) => name)
  if (!isClockConfirmed) return { made, dropped: [], kept: [] } // guard: audit-clock-months
  const { rows: expired } = await database.ask((db) => db.execute<{ name: string }>(expiredMonths(retentionMs)))
  const names = expired.map(({ name }) => name).filter((name) => NAME.test(name)) // guard: audit-month-own
  const kept: string[] = []
  for (const name of names) {
    const isDropped = await database.transaction((tx) => dropMonth(tx, name, isExported))
    if (!isDropped) kept.push(name)
  }
  return { made, dropped: names.filter((name) => !kept.includes(name)), kept }
}

async function dropMonth(tx: Transaction, name: string, isExported: boolean): Promise<boolean> {
  await tx.execute(LOCK_TIMEOUT)
  await tx.execute(IN_TURN) // guard: audit-month-in-turn
  const { rows: [known] } = await tx.execute<{ is: boolean }>(sql`select to_regclass(${name}) is not null as is`)
  if (!known?.is) return true // by another replica
  // guard: audit-export-retention
  if (isExported && await hasUndelivered(tx, sql`${sql.identifier(name)}`)) return false
  await tx.execute(sql`drop table ${sql.identifier(name)}`)
  return true
}

interface Month extends Record<string, unknown> {
  readonly name: string
  readonly since: string
  readonly until: string
}

/** Name and bounds of each partition but the default one. */
const PARTITIONS = sql`
  select c.relname as name,
    substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \\(''([^'']+)''\\)')::timestamptz as since,
    substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''\\)')::timestamptz as until
  from pg_inherits join pg_class c on c.oid = inhrelid
  where inhparent = 'audit_events'::regclass and pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'`

function missingMonths(): SQL {
  return sql`
    with months as (
      select start at time zone 'UTC' as since, (start + interval '1 month') at time zone 'UTC' as until,
        to_char(start, '"audit_events_"YYYY_MM') as name
      from generate_series(0, ${MONTHS_AHEAD}) ahead
      cross join lateral (
        select date_trunc('month', now() at time zone 'UTC') + ahead * interval '1 month' as start) month)
    select name, since::text as since, until::text as until from months m
    where not exists (
      select from (${PARTITIONS}) p where coalesce(p.since, '-infinity') <= m.since and p.until > m.since)
    and ${MAX_MOVED} >= (select count(*) from (
      select from audit_events_default d where d.at >= m.since and d.at < m.until limit ${MAX_MOVED + 1}) few)`
}

function expiredMonths(retentionMs: number): SQL {
  return sql`select name from (${PARTITIONS}) p where until <= ${ago(retentionMs)}` // guard: audit-month-expired
}

/** What the default partition has of the month moves into the new one. Another replica may have been faster. */
async function makeMonth(tx: Transaction, { name, since, until }: Month): Promise<void> {
  const table = sql.identifier(name)
  await tx.execute(LOCK_TIMEOUT)
  await tx.execute(IN_TURN)
  await tx.execute(sql`lock table audit_events_default in access exclusive mode`)
  const { rows: [known] } = await tx.execute<{ is: boolean }>(sql`select to_regclass(${name}) is not null as is`)
  if (known?.is) return
  await tx.execute(HOUSEKEEPING)
  await tx.execute(sql`create table ${table} (like audit_events including defaults)`)
  await tx.execute(sql`
    with moved as (delete from audit_events_default where at >= ${since}::timestamptz and at < ${until}::timestamptz
      returning *)
    insert into ${table} select * from moved`)
  await tx.execute(
    sql`alter table audit_events attach partition ${table} for values from (${sql.raw(`'${since}'`)})
      to (${sql.raw(`'${until}'`)})`,
  )
}
