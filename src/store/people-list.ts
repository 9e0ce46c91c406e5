// Lists of users, page by page. A filter that few users fulfil is answered from its index; where every filter selects
// many, the users are examined in the order of usernames (rounds.ts). A search alone lists beginnings before parts.
import { sql, type SQL } from 'drizzle-orm'
import { isObjectId } from '../core/identity.js'
import type { PeopleCursor, PeopleFilter, PeopleRequest } from '../core/people.js'
import { PAGE_ROWS, pageOf, type Page } from '../core/page.js'
import type { Database } from './database.js'
import { containingLater, filtersOf, type FilterSql } from './people-filters.js'
import { searchesParts, searchQuery, type SearchCursor } from './people-search.js'
import { pageInRounds, type Round } from './rounds.js'

/** Of this many users all are examined and sorted. */
const FEW = 1_000

interface ListRequest {
  readonly filters: readonly FilterSql[]
  readonly after: string | undefined
  readonly limit: number
}

/** @param view JSON of one row with its `username`, an expression over `users u` */
export async function peoplePage<Row extends { readonly username: string }>(
  database: Database,
  { after, limit = PAGE_ROWS, ...filter }: PeopleRequest,
  view: SQL,
): Promise<Page<Row, PeopleCursor>> {
  const parts = await searchesParts(database, filter.q)
  const filters = filtersOf(filter, parts)
  const from = after && 'username' in after ? after.username : undefined
  if (!isSearchAlone(filter, filters)) return await filteredPage(database, { filters, after: from, limit }, view)
  const search = { prefix: filter.q, parts, limit }
  return from === undefined || !parts
    ? await searchPage(database, { ...search, after: after && 'term' in after ? after : undefined }, view)
    : await filteredPage(database, { filters: [containingLater(filter.q)], after: from, limit }, view)
}

async function filteredPage<Row extends { readonly username: string }>(
  database: Database,
  { filters, after, limit }: ListRequest,
  view: SQL,
): Promise<Page<Row, PeopleCursor>> {
  const { users, first } = await examinedUsers(database, filters)
  return await pageInRounds<Row, { readonly username: string }>({
    after: after === undefined ? undefined : { username: after },
    limit,
    first: first(limit),
    cursorOf: ({ username }) => ({ username }),
    read: async (cursor, examine) => {
      const query = pageQuery(users(later(cursor?.username), examine), { filters, view, most: limit + 1 })
      const { rows: [row] } = await database.ask((db) =>
        db.execute<Round<Row, string> & Record<string, unknown>>(query)
      )
      const { rows = [], examined = 0, last } = row ?? {}
      return { rows, examined, last: last === undefined || last === null ? undefined : { username: last } }
    },
  })
}

/** Without other filters the names that were found have an order of their own, in which a page costs no more. */
function isSearchAlone(
  filter: PeopleFilter,
  filters: readonly FilterSql[],
): filter is PeopleFilter & { readonly q: string } {
  return filter.q !== undefined && !isObjectId(filter.q) && filters.length === 1
}

/** Which users a list examines; those that fulfil all filters are among them. */
export interface ExaminedUsers {
  /** Selects at most so many of `users u`, from a condition on, in the order of usernames or all of them. */
  readonly users: (from: SQL, examine: number) => SQL
  /** How many the first round examines. @param limit rows of a page */
  readonly first: (limit: number) => number
}

export async function examinedUsers(database: Database, filters: readonly FilterSql[]): Promise<ExaminedUsers> {
  const ordered = filters.find(({ inOrder }) => inOrder)
  const alone = filters.length === 0 || (ordered !== undefined && filters.length === 1)
  const few = alone ? undefined : await fewestOf(database, filters)
  // there may be more of them than a moment ago
  if (few !== undefined) return { users: among(few), first: () => 2 * FEW }
  return { users: walk(ordered), first: (limit) => alone ? limit + 1 : 4 * limit }
}

/** @returns the first filter that few users fulfil */
async function fewestOf(database: Database, filters: readonly FilterSql[]): Promise<FilterSql | undefined> {
  const selective = filters.filter(({ ids }) => ids !== undefined)
  if (selective.length === 0) return undefined
  const cases = selective.map(({ ids }, index) =>
    sql`when (select count(*) from (${ids?.(FEW + 1)}) each) <= ${FEW} then ${index}::int`
  )
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ chosen: number | null }>(sql`select case ${sql.join(cases, sql` `)} end as chosen`)
  )
  return row?.chosen === undefined || row.chosen === null ? undefined : selective[row.chosen]
}

/** `offset 0`: the users are read one by one by their id, and not by a join with the whole table. */
function among({ ids }: FilterSql): ExaminedUsers['users'] {
  return (from, examine) =>
    sql`select u.* from (${ids?.(examine)}) few cross join lateral (select * from users where id = few.id offset 0) u
        where ${from}`
}

function walk(ordered: FilterSql | undefined): ExaminedUsers['users'] {
  return (from, examine) =>
    sql`select u.* from users u where ${ordered?.condition ?? sql`true`} and ${from} order by u.username
        limit ${examine}`
}

function pageQuery(
  examined: SQL,
  { filters, view, most }: { readonly filters: readonly FilterSql[], readonly view: SQL, readonly most: number },
): SQL {
  const conditions = sql.join([sql`true`, ...filters.map(({ condition }) => condition)], sql` and `)
  return sql`
    with examined as materialized (${examined})
    select (select count(*)::int from examined) as examined, (select max(username) from examined) as last,
      (select coalesce(json_agg(found.person order by found.username), '[]') from (
        select u.username, ${view} as person from examined u where ${conditions} order by u.username limit ${most}
      ) found) as rows`
}

function later(after: string | undefined): SQL {
  return after === undefined ? sql`true` : sql`u.username > ${after}` // guard: list-people-after
}

interface SearchRow<Row> extends SearchCursor, Record<string, unknown> {
  readonly term: string
  readonly id: string
  readonly person: Row | null
}

/** First the users whose names begin with the text; after the last of them those whose names contain it. */
async function searchPage<Row extends { readonly username: string }>(
  database: Database,
  { prefix, parts, after, limit }: {
    readonly prefix: string
    readonly parts: boolean
    readonly after: SearchCursor | undefined
    readonly limit: number
  },
  view: SQL,
): Promise<Page<Row, PeopleCursor>> {
  const query = searchQuery({ prefix, after, limit, person: view })
  const { rows } = await database.ask((db) => db.execute<SearchRow<Row>>(query))
  const page = pageOf(rows, limit, ({ term, id }) => ({ term, id }))
  const found = page.rows.flatMap(({ person }) => person ?? [])
  if (page.next !== undefined || !parts) return { rows: found, next: page.next }
  const room = limit - rows.length
  if (room === 0) return { rows: found, next: BEFORE_ALL }
  const later = await filteredPage<Row>(database, { filters: [containingLater(prefix)], after: '', limit: room }, view)
  return { rows: [...found, ...later.rows], next: later.next }
}

/** No username is empty. */
const BEFORE_ALL = { username: '' }
