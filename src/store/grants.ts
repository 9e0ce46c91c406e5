// Replaces the groups and flags of one user by what the mapping grants; everything else is removed, also what was
// assigned by hand. What stays keeps its `since` and is not written. The number of statements is constant.
import { sql } from 'drizzle-orm'
import type { GrantChange } from '../core/grants.js'
import type { MappedGrants } from '../core/pipeline/pipeline.js'
import type { Cause } from '../core/mapping.js'
import type { Transaction } from './database.js'
import { endedMembership, liveMembership } from './live-membership.js'

export interface GrantReplacement {
  readonly userId: string
  readonly grants: MappedGrants
  readonly groupIds: readonly string[]
  /** The database's time before Graph was read, as text. */
  readonly readAt: string
}

/** The user's row must be locked. A snapshot older than the stored one changes nothing. */
export async function replaceGrants(
  tx: Transaction,
  { userId, grants, groupIds, readAt }: GrantReplacement,
): Promise<GrantChange> {
  const { rowCount } = await tx.execute(sql`
    insert into entra_readings (user_id, group_ids, read_at) values (${userId}, ${
    sql.param([...groupIds])
  }::uuid[], ${readAt}::timestamptz)
    on conflict (user_id) do update set group_ids = excluded.group_ids, read_at = excluded.read_at
    where entra_readings.read_at <= excluded.read_at`) // guard: sync-older-reading
  if (rowCount === 0) return await standing(tx, userId)
  return { ...await writeGrants(tx, userId, grants), superseded: false }
}

export interface WriteOptions {
  /** Memberships that are granted and were assigned by hand stay so, with their end. */
  readonly keepsByHand?: boolean
}

/** The user's row must be locked. What was granted by the stored snapshot is replaced, whatever it was. */
export async function writeGrants(
  tx: Transaction,
  userId: string,
  grants: MappedGrants,
  options: WriteOptions = {},
): Promise<Omit<GrantChange, 'superseded'>> {
  const before = await replaceMemberships(tx, userId, grants, options) // guard: empty-list-counts
  await replaceFlags(tx, userId, grants)
  const now = grants.groups.map((group) => group.name)
  return {
    groups: now,
    groupsAdded: now.filter((name) => !before.includes(name)),
    groupsRemoved: before.filter((name) => !now.includes(name)),
    staff: grants.staff.length > 0,
    superuser: grants.superuser.length > 0,
  }
}

/** @returns the names before */
async function replaceMemberships(
  tx: Transaction,
  userId: string,
  { groups }: MappedGrants,
  { keepsByHand = false }: WriteOptions,
): Promise<string[]> {
  const ids = sql.param(groups.map((group) => group.id))
  const causes = sql.param(groups.map((group) => JSON.stringify(group.causes)))
  // guard: memberships-replaced, other-people-untouched
  const { rows } = await tx.execute<{ name: string }>(sql`
    with before as (select g.name from user_groups ug join groups g on g.id = ug.group_id
      where ug.user_id = ${userId} and ${liveMembership('ug')}),
    gone as (delete from user_groups where user_id = ${userId} and group_id <> all(${ids}::uuid[])),
    granted as (
      insert into user_groups (user_id, group_id, cause)
      select ${userId}::uuid, wanted.id, wanted.cause from unnest(${ids}::uuid[], ${causes}::text[]::jsonb[]) as
        wanted(id, cause)
      on conflict (user_id, group_id) do update set cause = excluded.cause, until = null,
        since = case when ${endedMembership('user_groups')} then excluded.since else user_groups.since end
        where user_groups.cause is distinct from excluded.cause
          and (user_groups.cause is not null or not ${keepsByHand}))
    select name from before order by name`)
  return rows.map((row) => row.name)
}

/** False where nothing grants a flag, whatever it was before; `since` moves only when the flag does. */
async function replaceFlags(tx: Transaction, userId: string, { staff, superuser }: MappedGrants): Promise<void> {
  // guard: flags-taken-away, sync-flags
  await tx.execute(sql`
    update users set
      is_staff = ${staff.length > 0}, staff_cause = ${causeJson(staff)}::jsonb,
      staff_since = case when ${staff.length > 0} then coalesce(staff_since, now()) end,
      is_superuser = ${superuser.length > 0}, superuser_cause = ${causeJson(superuser)}::jsonb,
      superuser_since = case when ${superuser.length > 0} then coalesce(superuser_since, now()) end
    where id = ${userId} and (is_staff, staff_cause, is_superuser, superuser_cause)
      is distinct from (${staff.length > 0}, ${causeJson(staff)}::jsonb, ${superuser.length > 0}, ${
    causeJson(superuser)
  }::jsonb)`)
}

function causeJson(causes: readonly Cause[]): string | null {
  return causes.length > 0 ? JSON.stringify(causes) : null
}

async function standing(tx: Transaction, userId: string): Promise<GrantChange> {
  const { rows: [row] } = await tx.execute<{ staff: boolean, superuser: boolean, groups: string[] }>(sql`
    select is_staff as staff, is_superuser as superuser, coalesce((
      select array_agg(g.name order by g.name) from user_groups ug join groups g on g.id = ug.group_id
      where ug.user_id = users.id and ${liveMembership('ug')}), '{}') as groups
    from users where id = ${userId}`)
  return {
    groups: row?.groups ?? [],
    groupsAdded: [],
    groupsRemoved: [],
    staff: row?.staff ?? false,
    superuser: row?.superuser ?? false,
    superseded: true,
  }
}
