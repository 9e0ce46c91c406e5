// Milliseconds of the configuration as intervals of PostgreSQL.
import { sql, type SQL } from 'drizzle-orm'

export const interval = (ms: number): SQL => sql`${ms}::float8 * interval '1 millisecond'`

/** On the database's clock. */
export const ago = (ms: number): SQL => sql`now() - ${interval(ms)}`
