// A membership that was assigned by hand may have an end (user_groups.until). From that instant on it is none, whether
// its row was deleted yet or not: every statement that reads memberships has this condition. The clock of the database
// decides, at the beginning of the statement, because an act may wait inside of its transaction.
import { sql, type SQL } from 'drizzle-orm'

/**
 * When the membership ends; null: it has no end, as every one that the mapping grants. The previous release makes a
 * membership one of the mapping and leaves `until`.
 * @param row alias of `user_groups`
 */
export function membershipEnd(row: string): SQL {
  return sql.raw(`case when ${row}.cause is null then nullif(${row}.until, 'infinity'::timestamptz) end`)
}

/** A condition on `user_groups`. @param row its alias */
export function liveMembership(row: string): SQL {
  // guard: live-membership
  return sql.raw(`(${row}.until is null or ${row}.cause is not null or ${row}.until > statement_timestamp())`)
}

/** The opposite, in the form that the index `user_groups_until` answers. @param row alias of `user_groups` */
export function endedMembership(row: string): SQL {
  return sql.raw(`(${row}.cause is null and ${row}.until <= statement_timestamp())`)
}
