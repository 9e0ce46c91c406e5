// The database's clock, and milliseconds of the configuration as intervals of PostgreSQL.
import { sql, type SQL } from 'drizzle-orm'
import type { Database } from './database.js'

export const interval = (ms: number): SQL => sql`${ms}::float8 * interval '1 millisecond'`

/** On the database's clock. */
export const ago = (ms: number): SQL => sql`now() - ${interval(ms)}`

/** @returns the database's time as its text, with microseconds */
export async function databaseTime(database: Database): Promise<string> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ now: string }>(sql`select clock_timestamp()::text as now`)
  )
  return row?.now ?? ''
}
