// The group memberships that Graph returned last for each user who has signed in, with the user's current rights.
import { sql, type SQL } from 'drizzle-orm'
import { BEFORE_ALL_IDS } from '../core/first-id.js'
import type { Database } from './database.js'
import { liveMembership } from './live-membership.js'

export interface UserSnapshot extends Record<string, unknown> {
  readonly userId: string
  readonly username: string
  readonly oid: string
  /** Those that were requested. */
  readonly entraGroupIds: readonly string[]
  readonly readAt: string
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

/** Of a snapshot `r`, those that are asked about. */
export function idsAmong(entraGroups: readonly string[]): SQL {
  return sql`array(select id::text from unnest(r.group_ids) id where id = any(${sql.param([...entraGroups])}::uuid[]))`
}

/** @param entraGroups the Entra groups that matter; a user may be in ten thousand others */
export async function* snapshotsOfActiveUsers(
  database: Database,
  entraGroups: readonly string[],
  batchSize = 1_000,
): AsyncGenerator<readonly UserSnapshot[]> {
  for (let after = BEFORE_ALL_IDS;;) {
    const { rows } = await database.ask((db) =>
      db.execute<UserSnapshot>(sql`
      select u.id as "userId", u.username, i.oid,
        ${idsAmong(entraGroups)} as "entraGroupIds",
        to_json(r.read_at) #>> '{}' as "readAt",
        coalesce((select array_agg(g.name order by g.name) from user_groups ug join groups g on g.id = ug.group_id
          where ug.user_id = u.id and ${liveMembership('ug')}), '{}') as groups,
        u.is_staff as staff, u.is_superuser as superuser
      from users u join entra_readings r on r.user_id = u.id
      join lateral (select oid from identities where user_id = u.id order by created_at limit 1) i on true
      where u.is_active and u.id > ${after} and r.user_id > ${after} order by u.id limit ${batchSize}`)
    )
    if (rows.length > 0) yield rows
    if (rows.length < batchSize) return
    after = rows.at(-1)?.userId ?? after
  }
}

/** About how many users snapshotsOfActiveUsers returns: inactive ones are counted too. */
export async function countSnapshots(database: Database): Promise<number> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ count: number }>(sql`select count(*)::int as count from entra_readings`)
  )
  return row?.count ?? 0
}

export interface LatestSnapshot extends Record<string, unknown> {
  readonly entraGroupIds: readonly string[]
  /** The requested names that are local groups. */
  readonly existing: readonly string[]
}

/** @param names of local groups @returns undefined where there is no snapshot of this user */
export async function latestSnapshot(
  database: Database,
  userId: string,
  names: readonly string[],
): Promise<LatestSnapshot | undefined> {
  const { rows } = await database.ask((db) =>
    db.execute<LatestSnapshot>(sql`
    select group_ids::text[] as "entraGroupIds",
      coalesce((select array_agg(name) from groups where name = any(${
      sql.param([...names])
    }::text[])), '{}') as existing
    from entra_readings where user_id = ${userId}`)
  )
  return rows[0]
}

export interface MembershipSnapshot extends Record<string, unknown> {
  readonly entraGroupIds: readonly string[]
  readonly readAt: string
}

/** The latest snapshot of one user; undefined where Graph was never asked. */
export async function membershipSnapshot(database: Database, userId: string): Promise<MembershipSnapshot | undefined> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<MembershipSnapshot>(sql`
    select group_ids::text[] as "entraGroupIds", to_json(read_at) #>> '{}' as "readAt"
    from entra_readings where user_id = ${userId}`)
  )
  return row
}

export interface SuperuserSnapshot extends Record<string, unknown> {
  readonly userId: string
  /** Null: without an identity at Entra ID. Without a snapshot it is empty. */
  readonly entraGroupIds: readonly string[] | null
}

/** All active superusers. @param entraGroups the Entra groups that matter */
export async function activeSuperusers(
  database: Database,
  entraGroups: readonly string[],
): Promise<readonly SuperuserSnapshot[]> {
  const { rows } = await database.ask((db) =>
    db.execute<SuperuserSnapshot>(sql`
    select u.id as "userId", case when exists (select from identities i where i.user_id = u.id)
      then ${idsAmong(entraGroups)} end as "entraGroupIds"
    from users u left join entra_readings r on r.user_id = u.id where u.is_active and u.is_superuser`)
  )
  return rows
}
