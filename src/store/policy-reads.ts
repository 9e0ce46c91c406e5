// What the policy's use cases read (core/policy.ts): users as rules and headers see them, local groups by name, and how
// many users are in Entra groups.
import { sql } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { BEFORE_ALL_IDS } from '../core/first-id.js'
import { isObjectId } from '../core/identity.js'
import type { EntraGroupCounts, HeldGroup, LocalGroup, LocalGroups, PolicyUser, PolicyUsers } from '../core/policy.js'
import type { Cause } from '../core/mapping.js'
import type { Database } from './database.js'
import { liveMembership } from './live-membership.js'
import type { PeopleStore } from '../core/people.js'

export function createPolicyUsers(database: Database, people: Pick<PeopleStore, 'find'>): PolicyUsers {
  return {
    async find(name) {
      const { id } = await people.find(name)
      const user = await policyUser(database, id)
      if (user === undefined) throw new GatehouseError('user_unknown', { detail: `there is no user ${name}` })
      return user
    },
    byId: async (id) => isObjectId(id) ? await policyUser(database, id) : undefined,
  }
}

interface UserRow extends Record<string, unknown>, Omit<PolicyUser, 'groups' | 'permissions' | 'snapshot'> {
  readonly held: readonly HeldGroup[]
  readonly staffCause: readonly Cause[] | null
  readonly superuserCause: readonly Cause[] | null
  readonly entraGroupIds: readonly string[] | null
  readonly readAt: string | null
}

async function policyUser(database: Database, id: string): Promise<PolicyUser | undefined> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<UserRow>(sql`
    select u.id as "userId", u.username, u.email, u.email_verified as "emailVerified", u.name,
      u.given_name as "givenName", u.family_name as "familyName", u.is_active as "isActive", u.is_staff as "isStaff",
      u.is_superuser as "isSuperuser", u.staff_cause as "staffCause", u.superuser_cause as "superuserCause",
      i.oid, i.tid, r.group_ids::text[] as "entraGroupIds", to_json(r.read_at) #>> '{}' as "readAt",
      coalesce((select json_agg(json_build_object('name', g.name, 'cause', ug.cause, 'permissions',
          array(select p.permission from group_permissions p where p.group_id = g.id order by 1)) order by g.name)
        from user_groups ug join groups g on g.id = ug.group_id
        where ug.user_id = u.id and ${liveMembership('ug')}), '[]') as held
    from users u left join entra_readings r on r.user_id = u.id
    left join lateral (select oid, tid from identities where user_id = u.id order by created_at limit 1) i on true
    where u.id = ${id}`)
  )
  if (row === undefined) return undefined
  const { entraGroupIds, readAt, ...user } = row
  return {
    ...user,
    groups: user.held.map(({ name }) => name),
    permissions: [...new Set(user.held.flatMap(({ permissions }) => permissions))].sort(),
    snapshot: entraGroupIds === null || readAt === null ? undefined : { entraGroupIds, readAt },
  }
}

export function createLocalGroups(database: Database): LocalGroups {
  return {
    async named(names) {
      const { rows } = await database.ask((db) =>
        db.execute<LocalGroup & Record<string, unknown>>(sql`
        select g.name, array(select p.permission from group_permissions p where p.group_id = g.id order by 1)
          as permissions
        from groups g where g.name = any(${sql.param([...names])}::text[]) order by g.name`)
      )
      return rows
    },
  }
}

export interface CountOptions {
  /** Snapshots of one statement. */
  readonly batch?: number
  /** About how many snapshots are read for the largest groups, at most. */
  readonly sample?: number
}

const BATCH = 5_000
const SAMPLE = 20_000

/**
 * Reads the snapshots themselves, in pages that fit a statement's time. An index on their group ids would be written
 * whenever a snapshot is replaced: for a user in 200 groups, 200 entries with every sign-in and every re-evaluation.
 */
export function createEntraGroupCounts(
  database: Database,
  { batch = BATCH, sample = SAMPLE }: CountOptions = {},
): EntraGroupCounts {
  return {
    async usersIn(entraGroups) {
      const counts = new Map<string, number>()
      for (let after: string | null = BEFORE_ALL_IDS; after !== null;) {
        const page: HitsPage = await hitsPage(database, entraGroups, after, batch)
        for (const [id, users] of Object.entries(page.hits)) counts.set(id, (counts.get(id) ?? 0) + users)
        after = page.last
      }
      return counts
    },
    async largestBeside(entraGroups, limit) {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<LargestRow>(sql`
        with snapshots as (
          select r.group_ids from entra_readings r tablesample system (least(100, 100.0 * ${sample}::float8 /
            greatest(1, (select count(*) from entra_readings))))
          join users u on u.id = r.user_id and u.is_active limit ${2 * sample}),
        largest as (
          select id, count(*)::int as users from snapshots, unnest(group_ids) id
          where not exists (select 1 from unnest(${sql.param([...entraGroups])}::uuid[]) mapped where mapped = id)
          group by id order by 2 desc, 1 limit ${limit})
        select (select count(*)::int from snapshots) as snapshots,
          coalesce((select json_agg(json_build_object('entraGroup', id, 'users', users) order by users desc, id)
            from largest), '[]') as groups`)
      )
      return row ?? { snapshots: 0, groups: [] }
    },
  }
}

interface HitsPage extends Record<string, unknown> {
  readonly hits: Readonly<Record<string, number>>
  /** Null: there are no more. */
  readonly last: string | null
}

interface LargestRow extends Record<string, unknown> {
  readonly snapshots: number
  readonly groups: readonly { readonly entraGroup: string, readonly users: number }[]
}

async function hitsPage(
  database: Database,
  entraGroups: readonly string[],
  after: string,
  batch: number,
): Promise<HitsPage> {
  const { rows: [page] } = await database.ask((db) =>
    db.execute<HitsPage>(sql`
    with page as materialized (
      select user_id, group_ids from entra_readings where user_id > ${after} order by user_id limit ${batch}),
    hits as (
      select entra_group, count(*)::int as users from page join users u on u.id = page.user_id and u.is_active,
        unnest(group_ids) entra_group
      where entra_group = any(${sql.param([...entraGroups])}::uuid[]) group by entra_group)
    select coalesce((select json_object_agg(entra_group, users) from hits), '{}') as hits,
      (select user_id::text from page order by user_id desc limit 1) as last`)
  )
  return page ?? { hits: {}, last: null }
}

/** The local groups of these names, and those that have one of these permissions; of permissions only these. */
export async function groupsWithPermissions(
  database: Database,
  { groups, permissions }: { readonly groups: readonly string[], readonly permissions: readonly string[] },
): Promise<readonly LocalGroup[]> {
  const [names, words] = [sql.param([...groups]), sql.param([...permissions])]
  const { rows } = await database.ask((db) =>
    db.execute<LocalGroup & Record<string, unknown>>(sql`
    select g.name, array(select p.permission from group_permissions p
        where p.group_id = g.id and p.permission = any(${words}::text[])) as permissions
    from groups g where g.name = any(${names}::text[])
      or g.id in (select group_id from group_permissions where permission = any(${words}::text[]))`)
  )
  return rows
}
