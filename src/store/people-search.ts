// Finds users by what they are called: by the beginning, and with the extension pg_trgm by any part of it. For
// beginnings each kind of name has an index in the order of its bytes (schema.ts), from which a page takes as many
// entries as it has rows: it costs the same for one match and for a million. For parts there are indexes of trigrams
// (migrations/0039_user_names.sql).
import { sql, type SQL } from 'drizzle-orm'
import { isObjectId } from '../core/identity.js'
import { usernameKey } from '../core/user.js'
import type { Database } from './database.js'

/** An entry of an index: a name, and the user who has it. */
export interface SearchCursor {
  readonly term: string
  readonly id: string
}

/**
 * @param prefix of a username, UPN, e-mail address, display name or family name; case does not count
 * @param person an expression over `users u`
 * @returns a query with `person`, `term` and `id` for one entry more than the limit. `person` is null where an earlier
 *   entry has the same user
 */
export function searchQuery(
  { prefix, after, limit, person }: {
    readonly prefix: string
    readonly after: SearchCursor | undefined
    readonly limit: number
    readonly person: SQL
  },
): SQL {
  const names = namesBeginning(prefix)
  const first = sql`least(${
    sql.join(
      names.map(({ term, matches, ofIdentities }) =>
        ofIdentities
          ? sql`(select min(${term}) from identities i where i.user_id = u.id and ${matches})`
          : sql`case when ${matches} then ${term} end`
      ),
      sql`, `,
    )
  })`
  return sql`
    with entries as (${sql.join(names.map((name) => entries(name, limit + 1, after)), sql` union `)}),
    page as (select term, id from entries order by term, id limit ${limit + 1})
    select page.term, page.id, case when page.term = ${first} then ${person} end as person
    from page join users u on u.id = page.id order by page.term, page.id`
}

/** The ids of at most `limit` entries for each kind of name. */
export function idsOfBeginnings(prefix: string, limit: number): SQL {
  const all = namesBeginning(prefix).map((name) => sql`(select id from ${entries(name, limit)} each)`)
  return sql.join(all, sql` union `)
}

/** Whether anything that `users u` is called begins with the prefix. */
export function beginsWith(prefix: string): SQL {
  return isAny(namesBeginning(prefix))
}

/** A trigram is of letters and digits: an index of them finds nothing for fewer in a row. */
const TRIGRAM = /[\p{L}\p{N}]{3}/u

/** Whether the text of a search is looked for in the middle of names too; not one that is an id. */
export async function searchesParts(database: Database, q: string | undefined): Promise<boolean> {
  if (q === undefined || isObjectId(q) || !TRIGRAM.test(q)) return false
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ indexed: boolean }>(sql`select (${sql.raw(PARTS_INDEXED)}) as indexed`)
  )
  return row?.indexed === true
}

/** Whether names have indexes of trigrams. */
export const PARTS_INDEXED = `select count(*) = 2 from pg_class c join pg_index on indexrelid = c.oid and indisvalid
  where relname in ('user_names_trigrams', 'identities_trigrams') and relnamespace = current_schema()::regnamespace`

/** Users of whom at most `limit` names each contain the part, and perhaps some whose names do not. */
export function idsOfParts(part: string, limit: number): SQL {
  const { key, inAnyCase } = patterns(part, '%')
  return sql`(select user_id as id from user_names where names like ${key} or names like ${inAnyCase} limit ${limit})
    union (select user_id from identities where upn_key like ${key} limit ${limit})`
}

/** Whether anything that `users u` is called contains the part. */
export function contains(part: string): SQL {
  return isAny(names(patterns(part, '%')))
}

function isAny(all: readonly Name[]): SQL {
  const each = all.map(({ matches, ofIdentities }) =>
    ofIdentities
      ? sql`(select true from identities i where i.user_id = u.id and ${matches} limit 1) is true`
      : sql`(${matches}) is true`
  )
  return sql`(${sql.join(each, sql` or `)})`
}

interface Name {
  readonly term: SQL
  readonly matches: SQL
  readonly ofIdentities: boolean
}

function namesBeginning(prefix: string): readonly Name[] {
  return names(patterns(prefix, ''))
}

/** For LIKE: of usernames and principal names, which are kept as keys, and of the other names. */
interface Patterns {
  readonly key: string
  readonly inAnyCase: SQL
}

function names({ key, inAnyCase }: Patterns): readonly Name[] {
  return [
    named(sql`u.username_key`, key),
    ...['email', 'name', 'family_name'].map((column) => named(sql`lower(u.${sql.raw(column)})`, inAnyCase)),
    named(sql`i.upn_key`, key, true),
  ]
}

function entries({ term, matches, ofIdentities }: Name, limit: number, after?: SearchCursor): SQL {
  const [from, id] = ofIdentities ? [sql`identities i`, sql`i.user_id`] : [sql`users u`, sql`u.id`]
  const later = after === undefined ? sql`true` : sql`(${term}, ${id}) > (${after.term}, ${after.id}::uuid)`
  return sql`(select ${term} as term, ${id} as id from ${from} where ${matches} and ${later} order by 1, 2
    limit ${limit})`
}

function named(name: SQL, like: SQL | string, ofIdentities = false): Name {
  const term = sql`${name} collate "C"`
  return { term, matches: sql`${term} like ${like}`, ofIdentities }
}

/** The text as it is, anything after it, and before it what `before` allows. */
function patterns(text: string, before: '' | '%'): Patterns {
  const pattern = (literal: string) => `${before}${literal.replace(/[\\%_]/g, '\\$&')}%`
  return { key: pattern(usernameKey(text)), inAnyCase: sql`lower(${pattern(text)})` }
}
