// The rights of users with their reasons, each with the mark of a reviewer that counts (core/reviews.ts), page by page.
import { sql, type SQL } from 'drizzle-orm'
import { PAGE_ROWS, type Page } from '../core/page.js'
import {
  rightText,
  type HeldRight,
  type RightName,
  type RightsCursor,
  type RightsFilter,
  type RightsHeld,
  type RightsRequest,
} from '../core/reviews.js'
import type { Database, Drizzle, Transaction } from './database.js'
import { liveMembership, membershipEnd } from './live-membership.js'
import { filtersOf, type FilterSql } from './people-filters.js'
import { examinedUsers } from './people-list.js'
import { searchesParts } from './people-search.js'
import { pageInRounds, type Round } from './rounds.js'

/** Of `users u`. Order and columns are those of every right; `right_id` as in `access_reviews`. */
const HELD = sql`(
  select 0 as place, '' as "group", 'superuser' as right_id, u.superuser_cause as cause, u.superuser_since as since,
    null::timestamptz as until, '{}'::text[] as permissions where u.is_superuser
  union all select 1, '', 'staff', u.staff_cause, u.staff_since, null, '{}' where u.is_staff
  union all select 2, g.name, g.id::text, ug.cause, ug.since, ${membershipEnd('ug')},
    array(select p.permission from group_permissions p where p.group_id = g.id order by p.permission collate "C")
    from user_groups ug join groups g on g.id = ug.group_id where ug.user_id = u.id and ${liveMembership('ug')})`

/** Of a page: a round of rights costs several times one of users, because of the marks. */
const ROUNDS = 3
/** After all rights of a user. */
const PAST = 3
const KINDS = ['superuser', 'staff', 'group'] as const

/**
 * What a mark is bound to: since when the user has the right, by which Entra groups or by hand, until when, and what
 * the group permits. Not the numbers of mapping rows, which move. It is the same after a sign-in that changes nothing,
 * because that keeps `since`.
 * @param row alias with the columns of a right
 */
function basisOf(row: string): SQL {
  const column = (name: string): SQL => sql.raw(`${row}.${name}`)
  // guard: review-since, review-reasons, review-end, review-permissions
  return sql`encode(sha256(convert_to(json_build_array(extract(epoch from ${column('since')}), ${
    column('cause')
  } is null,
    (select json_agg(distinct lower(c ->> 'entraGroup') collate "C") from jsonb_array_elements(${column('cause')}) c),
    extract(epoch from ${column('until')}), ${column('permissions')})::text, 'UTF8')), 'hex')`
}

/** The marks that count. `offset 0`: they are read right by right, and not by a join with the whole table. */
const MARKS = sql`left join lateral (select r.verdict, r.reviewer_id, r.note, r.at, r.basis from access_reviews r
  where r.user_id = u.id and r.right_id = h.right_id offset 0) m on m.basis = ${basisOf('h')}` // guard: review-bound

/** Of `users u`, HELD and MARKS. */
const COLUMNS = sql`u.id, u.username, u.name, u.is_active, h.place, h."group", h.cause, h.since, h.until,
  h.permissions, m.verdict, m.reviewer_id, m.note, m.at`

/** HeldRight as JSON, of a row with COLUMNS. */
const VIEW = sql`json_build_object('personId', x.id, 'username', x.username, 'name', x.name, 'isActive', x.is_active,
  'kind', (array['superuser', 'staff', 'group'])[x.place + 1], 'group', case when x.place = 2 then x."group" end,
  'cause', x.cause, 'since', x.since, 'until', x.until, 'permissions', x.permissions,
  'hasEntraIdentity', exists (select 1 from identities i where i.user_id = x.id),
  'review', case when x.verdict is not null then json_build_object('verdict', x.verdict, 'reviewerId', x.reviewer_id,
    'reviewer', (select r.username from users r where r.id = x.reviewer_id), 'at', x.at, 'note', x.note) end)`

export function createRightsHeld(database: Database): RightsHeld {
  return {
    list: (request) => rightsPage(database, request),
    find: (personId, right) => database.ask((db) => findRight(db, personId, right)),
    async reviewsOf(personId) {
      const rights = await database.ask((db) => read(db, sql`u.id = ${personId} and m.verdict is not null`))
      return new Map(rights.flatMap((right) => right.review === null ? [] : [[rightText(right), right.review]]))
    },
  }
}

export async function findRight(
  on: Drizzle | Transaction,
  personId: string,
  right: RightName,
): Promise<HeldRight | undefined> {
  return (await read(on, sql`u.id = ${personId} and ${isRight(right)}`))[0]
}

async function read(on: Drizzle | Transaction, where: SQL): Promise<readonly HeldRight[]> {
  const { rows } = await on.execute<{ right: HeldRight }>(sql`
    select ${VIEW} as right from (
      select ${COLUMNS} from users u cross join lateral ${HELD} h ${MARKS} where ${where}) x
    order by x.place, x."group"`)
  return rows.map(({ right }) => right)
}

/** Of HELD. */
function isRight({ kind, group }: RightName): SQL {
  return group === null ? sql`h.place = ${KINDS.indexOf(kind)}` : sql`h.place = 2 and h."group" = ${group}`
}

/** One of them, of the user with this id: what a mark of it is stored with. */
export function rightToMark(personId: string, right: RightName): SQL {
  return sql`select u.id, h.right_id, ${basisOf('h')} as basis from users u cross join lateral ${HELD} h
    where u.id = ${personId} and ${isRight(right)}`
}

/** @param mark alias of `access_reviews` @returns whether its right is as it was */
export function stillBound(mark: string): SQL {
  const of = (column: string): SQL => sql.raw(`${mark}.${column}`)
  return sql`exists (select from users u cross join lateral ${HELD} h
    where u.id = ${of('user_id')} and h.right_id = ${of('right_id')} and ${basisOf('h')} = ${of('basis')})`
}

async function rightsPage(
  database: Database,
  { after, limit = PAGE_ROWS, ...filter }: RightsRequest,
): Promise<Page<HeldRight, RightsCursor>> {
  const filters = usersWith(filter, await searchesParts(database, filter.q))
  const { users, first } = await examinedUsers(database, filters)
  return await pageInRounds<HeldRight, RightsCursor>({
    after,
    limit,
    first: first(limit),
    rounds: ROUNDS,
    cursorOf: ({ username, kind, group }) => ({ username, place: KINDS.indexOf(kind), group: group ?? '' }),
    read: async (cursor, examine) => {
      const conditions = sql.join([...filters.map(({ condition }) => condition), ...conditionsOf(filter)], sql` and `)
      const query = pageQuery(users(fromUser(cursor), examine), { conditions, cursor, most: limit + 1 })
      const { rows: [row] } = await database.ask((db) =>
        db.execute<Round<HeldRight, string> & Record<string, unknown>>(query)
      )
      const { rows = [], examined = 0, last } = row ?? {}
      const isKnown = last !== undefined && last !== null
      return { rows, examined, last: isKnown ? { username: last, place: PAST, group: '' } : undefined }
    },
  })
}

/** Filters of users, from which the list of those that are examined is chosen. */
function usersWith(
  { q, active, kind, group, reviewed, verdict }: RightsFilter,
  parts: boolean,
): readonly FilterSql[] {
  return [
    ...verdict === undefined ? [] : [marked(sql`verdict = ${verdict}`)],
    ...reviewed === true ? [marked(sql`true`)] : [],
    ...filtersOf({
      q,
      active,
      group,
      ...kind === 'superuser' ? { superuser: true } : {},
      ...kind === 'staff' ? { staff: true } : {},
    }, parts),
  ]
}

function marked(where: SQL): FilterSql {
  return {
    condition: sql`(select true from access_reviews r where r.user_id = u.id and ${where} limit 1) is true`,
    ids: (limit) =>
      sql`select distinct user_id as id from access_reviews where ${where} order by user_id limit ${limit}`,
  }
}

/** On one right. */
function conditionsOf({ kind, group, reviewed, verdict }: RightsFilter): readonly SQL[] {
  return [
    sql`true`,
    ...kind === undefined ? [] : [sql`h.place = ${KINDS.indexOf(kind)}`],
    ...group === undefined ? [] : [isRight({ kind: 'group', group })],
    ...reviewed === undefined ? [] : [reviewed ? sql`m.verdict is not null` : sql`m.verdict is null`],
    ...verdict === undefined ? [] : [sql`m.verdict = ${verdict}`],
  ]
}

interface RightsQuery {
  readonly conditions: SQL
  readonly cursor: RightsCursor | undefined
  readonly most: number
}

function pageQuery(examined: SQL, { conditions, cursor, most }: RightsQuery): SQL {
  return sql`
    with examined as materialized (${examined}),
    held as (select ${COLUMNS} from examined u cross join lateral ${HELD} h ${MARKS}
      where ${conditions} and ${laterRight(cursor)} order by u.username, h.place, h."group" limit ${most})
    select (select count(*)::int from examined) as examined, (select max(username) from examined) as last,
      (select coalesce(json_agg(${VIEW} order by x.username, x.place, x."group"), '[]') from held x) as rows`
}

/** A page may end among the rights of a user. */
function fromUser(cursor: RightsCursor | undefined): SQL {
  if (cursor === undefined) return sql`true`
  return cursor.place === PAST ? sql`u.username > ${cursor.username}` : sql`u.username >= ${cursor.username}`
}

function laterRight(cursor: RightsCursor | undefined): SQL {
  if (cursor === undefined) return sql`true`
  // guard: list-rights-after
  return sql`(u.username, h.place, h."group") > (${cursor.username}, ${cursor.place}::int, ${cursor.group})`
}
