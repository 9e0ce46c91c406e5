// Rows that count only where the server of record returned them: the statement that reads them also selects which
// server answers. Behind a pooler a connection may lead to another server with each statement, and a server that was
// replaced answers until the next check.
import { sql, type SQL } from 'drizzle-orm'
import type { Database } from './database.js'

interface Answered extends Record<string, unknown> {
  readonly server: string | null
  readonly isFound: true | null
}

/**
 * @param query selects the rows; a join with one row keeps their order
 * @param options.having for statements that `query` needs: what stands between `with` and `select`
 * @throws GatehouseError `database_unavailable` where another server answered, also that there are none
 */
export async function rowsOfRecord<T extends Record<string, unknown>>(
  database: Database,
  query: SQL,
  { having }: { readonly having?: SQL } = {},
): Promise<readonly T[]> {
  const { rows } = await database.ask((db) =>
    db.execute<Answered>(sql`
    ${having === undefined ? sql`` : sql`with ${having}`}
    select here.server, found.* from (select ${sql.raw(database.identitySql)} as server) here
    left join (select true as "isFound", selected.* from (${query}) selected) found on true`)
  )
  database.confirm(rows[0]?.server) // guard: record-row-verified
  return rows.filter(({ isFound }) => isFound === true).map(({ server: _, isFound: __, ...row }) => row as T)
}
