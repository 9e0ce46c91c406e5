// The filters of lists of users: each one a condition on `users u`, and an index that lists the users who fulfil it,
// where they are few.
import { sql, type SQL } from 'drizzle-orm'
import { isObjectId } from '../core/identity.js'
import type { PeopleFilter } from '../core/people.js'
import { ago } from './intervals.js'
import { liveMembership } from './live-membership.js'
import { beginsWith, contains, idsOfBeginnings, idsOfParts } from './people-search.js'

export interface FilterSql {
  /**
   * On `users u`. Conditions on other tables are scalar, so that they are evaluated for the users that are examined,
   * and never by a join with a whole table.
   */
  readonly condition: SQL
  /** Selects at most so many ids of users from an index; those that fulfil the condition are among them. */
  readonly ids?: (limit: number) => SQL
  /** There is an index of these users in the order of usernames. */
  readonly inOrder?: true
}

const DAY_MS = 86_400_000

/**
 * Those that usually select the fewest come first.
 * @param parts `q` is a part of a name, and not its beginning (searchesParts)
 */
export function filtersOf(filter: PeopleFilter, parts: boolean): readonly FilterSql[] {
  const { q, superuser, handMade, group, staff, active, guest, notSeenDays } = filter
  return [
    ...superuser === undefined ? [] : [flag('is_superuser', superuser)],
    ...handMade === undefined ? [] : [assignedByHand(handMade)],
    ...q !== undefined && isObjectId(q) ? [withId(q)] : [],
    ...staff === undefined ? [] : [flag('is_staff', staff)],
    ...active === undefined ? [] : [ofActivity(active)],
    ...guest === undefined ? [] : [isGuest(guest)],
    ...notSeenDays === undefined ? [] : [notSeen(notSeenDays * DAY_MS)],
    ...group === undefined ? [] : [inGroup(group)],
    ...q === undefined || isObjectId(q) ? [] : [parts ? containing(q) : beginning(q)],
  ]
}

function flag(column: 'is_superuser' | 'is_staff', value: boolean): FilterSql {
  const name = sql.raw(column)
  if (!value) return { condition: sql`not u.${name}` }
  return {
    condition: sql`u.${name}`,
    ids: (limit) => sql`select id from users where ${name} order by username limit ${limit}`,
    inOrder: true,
  }
}

function ofActivity(active: boolean): FilterSql {
  if (active) return { condition: sql`u.is_active` }
  return {
    condition: sql`not u.is_active`,
    ids: (limit) => sql`select id from users where not is_active order by username limit ${limit}`,
    inOrder: true,
  }
}

function assignedByHand(value: boolean): FilterSql {
  const assigned = sql`(select true from user_groups h where h.user_id = u.id and h.cause is null
    and ${liveMembership('h')} limit 1)`
  if (!value) return { condition: sql`${assigned} is null` }
  return {
    condition: sql`${assigned} is true`,
    ids: (limit) =>
      sql`select distinct user_id as id from user_groups h where cause is null and ${liveMembership('h')}
        order by user_id limit ${limit}`,
  }
}

function isGuest(value: boolean): FilterSql {
  const guest = sql`(select true from identities i where i.user_id = u.id and i.guest limit 1)`
  if (!value) return { condition: sql`${guest} is null` }
  return {
    condition: sql`${guest} is true`,
    ids: (limit) => sql`select distinct user_id as id from identities where guest order by user_id limit ${limit}`,
  }
}

/** The group is looked up once, and not for each user that is examined. */
function inGroup(name: string): FilterSql {
  const group = sql`(select id from groups where name = ${name})`
  return {
    condition: sql`(select true from user_groups m where m.user_id = u.id and m.group_id = ${group}
      and ${liveMembership('m')}) is true`,
    // With an equality PostgreSQL may expect many members and read the whole table for a few: a range from the id to
    // itself, and its order, leave it the index.
    ids: (limit) =>
      sql`select member.id from (select ${group} as id) g cross join lateral (
        select user_id as id from user_groups where group_id between g.id and g.id order by group_id limit ${limit}
      ) member`,
  }
}

function notSeen(ms: number): FilterSql {
  const signedIn = (of: SQL) => sql`coalesce(${of}last_login_at, ${of}created_at)`
  return {
    condition: sql`${signedIn(sql`u.`)} < ${ago(ms)} and (select true from sessions s where s.user_id = u.id
      and s.last_seen_at >= ${ago(ms)} limit 1) is null`,
    ids: (limit) =>
      sql`select id from users where ${signedIn(sql``)} < ${ago(ms)} order by ${signedIn(sql``)} limit ${limit}`,
  }
}

function withId(id: string): FilterSql {
  const ids = sql`select ${id}::uuid as id union select user_id from identities where oid = ${id}::uuid`
  return { condition: sql`u.id in (${ids})`, ids: () => ids }
}

function beginning(prefix: string): FilterSql {
  return { condition: beginsWith(prefix), ids: (limit) => idsOfBeginnings(prefix, limit) }
}

function containing(part: string): FilterSql {
  return { condition: contains(part), ids: (limit) => idsOfParts(part, limit) }
}

/** The users whose names contain the part, without those whom the search for beginnings has found. */
export function containingLater(part: string): FilterSql {
  return { ...containing(part), condition: sql`${contains(part)} and not ${beginsWith(part)}` }
}
