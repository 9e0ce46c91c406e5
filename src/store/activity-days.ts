// The table of counts has a partition for each day (UTC): whichever replica is first makes those of the coming days,
// and the housekeeping drops those past the retention.
import { sql, type SQL } from 'drizzle-orm'
import type { Database, Transaction } from './database.js'
import { ago } from './intervals.js'

/** A month, and the day that is not over. */
export const ACTIVITY_RETENTION_DAYS = 31
/** Beside today; a process that counts past midnight writes of yesterday. */
const DAYS = { before: 1, after: 2 }

const NAME = /^activity_counts_\d{4}_\d{2}_\d{2}$/

/** No replica waits for longer than this behind a change of the partitions, which is tried again. */
const LOCK_TIMEOUT = sql`set local lock_timeout = '1s'`
/** Replicas that start together make the partitions one after the other. */
const LOCK = sql`select pg_advisory_xact_lock(hashtextextended('gatehouse activity days', 0))`

interface Day extends Record<string, unknown> {
  readonly name: string
  readonly since: string
  readonly until: string
}

/** @param before days of the past @returns the names of the partitions that were made */
export async function makeActivityDays(database: Database, before = DAYS.before): Promise<readonly string[]> {
  const { rows: missing } = await database.ask((db) => db.execute<Day>(missingDays(before)))
  if (missing.length === 0) return []
  return await database.transaction(async (tx) => {
    await tx.execute(LOCK_TIMEOUT)
    await tx.execute(LOCK)
    const { rows } = await tx.execute<Day>(missingDays(before)) // guard: admin-activity-days-once
    for (const day of rows) await makeDay(tx, day)
    return rows.map(({ name }) => name)
  })
}

/** @returns the names of the partitions that were dropped */
export async function dropActivityDays(database: Database): Promise<readonly string[]> {
  const { rows } = await database.ask((db) =>
    db.execute<{ name: string }>(sql`
    select c.relname as name from pg_inherits join pg_class c on c.oid = inhrelid
    where inhparent = 'activity_counts'::regclass
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \\(''([^'']+)''\\)')::timestamptz
        <= ${ago(ACTIVITY_RETENTION_DAYS * 86_400_000)}
    order by name`)
  )
  const expired = rows.map(({ name }) => name).filter((name) => NAME.test(name))
  for (const name of expired) {
    await database.transaction(async (tx) => {
      await tx.execute(LOCK_TIMEOUT)
      await tx.execute(sql`drop table if exists ${sql.identifier(name)}`)
    })
  }
  return expired
}

function missingDays(before: number): SQL {
  return sql`
    select name, (start at time zone 'UTC')::text as since,
      ((start + interval '1 day') at time zone 'UTC')::text as until
    from generate_series(${-before}::int, ${DAYS.after}::int) ahead
    cross join lateral (select date_trunc('day', now() at time zone 'UTC') + ahead * interval '1 day' as start) day
    cross join lateral (select to_char(start, '"activity_counts_"YYYY_MM_DD') as name) named
    where not exists (select from pg_inherits join pg_class c on c.oid = inhrelid
      where inhparent = 'activity_counts'::regclass and c.relname = name)
    order by start`
}

/** Each row is updated once a minute for an hour: the pages have space for it. */
async function makeDay(tx: Transaction, { name, since, until }: Day): Promise<void> {
  const table = sql.identifier(name)
  await tx.execute(
    sql`create table if not exists ${table} (like activity_counts including defaults) with (fillfactor = 70)`,
  )
  await tx.execute(
    sql`alter table activity_counts attach partition ${table} for values from (${sql.raw(`'${since}'`)})
      to (${sql.raw(`'${until}'`)})`,
  )
}
