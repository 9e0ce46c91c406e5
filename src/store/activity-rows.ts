// Writes the counts of this process. Each row belongs to one process and holds the whole of its hour: writing it again
// changes nothing, and the rows of all processes are added when they are read.
import { sql } from 'drizzle-orm'
import type { ActivityRow } from '../core/activity-hours.js'
import type { Database } from './database.js'

/** A gauge has one row for an hour, which belongs to no process. */
const NO_PROCESS = '00000000-0000-0000-0000-000000000000'

/** Rows of one statement. */
const BATCH = 1_000

/** @param replica a UUID of this process @returns the database's time, in milliseconds since 1970 */
export async function writeActivity(
  database: Database,
  replica: string,
  rows: readonly ActivityRow[],
): Promise<number> {
  let now = NaN
  for (let at = 0; at < rows.length; at += BATCH) {
    now = await writeBatch(database, replica, rows.slice(at, at + BATCH))
  }
  return now
}

async function writeBatch(database: Database, replica: string, rows: readonly ActivityRow[]): Promise<number> {
  const given = JSON.stringify(rows.map(({ hour, kind, key, count, minutes }) => ({ hour, kind, key, count, minutes })))
  const { rows: [written] } = await database.ask((db) =>
    // A row that was written later, by a statement whose answer was lost, has the higher count.
    // guard: admin-activity-repeated
    db.execute<{ now: number }>(sql`
    with written as (
      insert into activity_counts as known (hour, kind, key, replica, count, minutes)
      select hour, kind, key, ${replica}::uuid, count, minutes from jsonb_to_recordset(${given}::jsonb)
        as given (hour timestamptz, kind text, key text, count bigint, minutes integer[])
      on conflict (kind, hour, key, replica) do update set count = excluded.count, minutes = excluded.minutes
        where known.count < excluded.count)
    select extract(epoch from clock_timestamp())::float8 * 1000 as now`)
  )
  return written?.now ?? NaN
}

/**
 * Notes once in a day which rules are in force, whichever replica is first: by that a rule that has had no hit differs
 * from one that has only just been written.
 */
export async function writeRulesInForce(database: Database, keys: readonly string[]): Promise<void> {
  await database.ask((db) =>
    db.execute(sql`
    insert into activity_counts (hour, kind, key, replica, count, minutes)
    select date_trunc('hour', now(), 'UTC'), 'rule', key, ${NO_PROCESS}::uuid, 0, '{}'
    from jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb) as given (key)
    where key not in (select known.key from activity_counts known where known.kind = 'rule'
      and known.replica = ${NO_PROCESS}::uuid and known.hour >= date_trunc('day', now(), 'UTC'))
    on conflict do nothing`)
  )
}

/** Counts superusers and staff once in an hour, whichever replica is first. */
export async function writeSuperusers(database: Database): Promise<void> {
  await database.ask((db) =>
    db.execute(sql`
    insert into activity_counts (hour, kind, key, replica, count, minutes)
    select date_trunc('hour', now(), 'UTC'), 'superusers', key, ${NO_PROCESS}::uuid, active, '{}'
    from (select 'superusers' as key, count(*) as active from users where is_superuser and is_active
      union all select 'staff', count(*) from users where is_staff and is_active) counted
    where not exists (select from activity_counts where kind = 'superusers' and replica = ${NO_PROCESS}::uuid
      and hour = date_trunc('hour', now(), 'UTC'))
    on conflict do nothing`)
  )
}
