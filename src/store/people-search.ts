// Finds users by the beginning of what they are called. Each kind of name has an index in the order of its bytes
// (schema.ts), from which a page takes as many entries as it has rows: it costs the same for one match and for a
// million.
import { sql, type SQL } from 'drizzle-orm'

/** An entry of an index: a name, and the user who has it. */
export interface SearchCursor {
  readonly term: string
  readonly id: string
}

/**
 * @param prefix of a username, UPN, e-mail address, display name or family name; case does not count
 * @param key the same as a key of usernames (core/user.ts)
 * @param person an expression over `users u`
 * @returns a query with `person`, `term` and `id` for one entry more than the limit. `person` is null where an earlier
 *   entry has the same user, or the user does not fulfil the condition
 */
export function searchQuery(
  { prefix, key, after, limit, condition, person }: {
    readonly prefix: string
    readonly key: string
    readonly after: SearchCursor | undefined
    readonly limit: number
    readonly condition: SQL
    readonly person: SQL
  },
): SQL {
  const names = [
    inByteOrder(sql`u.username_key`, pattern(key)),
    ...['email', 'name', 'family_name'].map((column) =>
      inByteOrder(sql`lower(u.${sql.raw(column)})`, sql`lower(${pattern(prefix)})`)
    ),
  ]
  const upn = inByteOrder(sql`i.upn_key`, pattern(key))
  const entries = (from: SQL, id: SQL, { term, matches }: Name): SQL => {
    const later = after === undefined ? sql`true` : sql`(${term}, ${id}) > (${after.term}, ${after.id}::uuid)`
    return sql`(select ${term} as term, ${id} as id from ${from} where ${matches} and ${later}
      order by 1, 2 limit ${limit + 1})`
  }
  const all = [
    ...names.map((name) => entries(sql`users u`, sql`u.id`, name)),
    entries(sql`identities i`, sql`i.user_id`, upn),
  ]
  const first = sql`least(${
    sql.join(names.map(({ term, matches }) => sql`case when ${matches} then ${term} end`), sql`, `)
  }, (select min(${upn.term}) from identities i where i.user_id = u.id and ${upn.matches}))`
  return sql`
    with entries as (${sql.join(all, sql` union `)}),
    page as (select term, id from entries order by term, id limit ${limit + 1})
    select page.term, page.id,
      case when page.term = ${first} and ${condition} then ${person} end as person
    from page join users u on u.id = page.id order by page.term, page.id`
}

interface Name {
  readonly term: SQL
  readonly matches: SQL
}

function inByteOrder(name: SQL, like: SQL | string): Name {
  const term = sql`${name} collate "C"`
  return { term, matches: sql`${term} like ${like}` }
}

/** For LIKE: the prefix as it is, and anything after it. */
function pattern(prefix: string): string {
  return `${prefix.replace(/[\\%_]/g, '\\$&')}%`
}
