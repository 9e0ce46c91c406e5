// The name of an actor of the audit record (`admin:<user id>`), in a query.
import { sql, type SQL } from 'drizzle-orm'

/**
 * By the key of `users`, so that a list of many actors stays fast among many users.
 * @param column such as `d.author` @returns null: no administrator, or the user was removed
 */
export function actorName(column: string): SQL {
  const actor = sql.raw(column)
  return sql`(select u.username from users u
    where u.id = case when ${actor} ~ '^admin:[0-9a-f-]{36}$' then substr(${actor}, 7)::uuid end)`
}
