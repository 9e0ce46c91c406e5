// Deletes memberships that have ended (live-membership.ts), with a row in the record. Nothing depends on when this
// happens: they count for nothing from their end on.
import { sql, type SQL } from 'drizzle-orm'
import type { Transaction } from './database.js'
import { endedMembership } from './live-membership.js'

/** As acts record it. */
function inUtc(column: 'since' | 'until'): SQL {
  return sql.raw(`to_char(e.${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`)
}

/**
 * One statement, with an audit row for each.
 * @param userId undefined: of all users
 * @returns how many
 */
export async function recordEndedMemberships(
  tx: Transaction,
  { userId, limit }: { readonly userId?: string, readonly limit: number },
): Promise<number> {
  // guard: act-ended-recorded
  const { rows: [row] } = await tx.execute<{ ended: number }>(sql`
    with ended as (
      delete from user_groups where (user_id, group_id) in (
        select m.user_id, m.group_id from user_groups m
        where ${endedMembership('m')} and ${userId === undefined ? sql`true` : sql`m.user_id = ${userId}`}
        order by m.until limit ${limit} for update skip locked)
      returning user_id, group_id, since, until),
    recorded as (
      insert into audit_events (action, actor, user_id, username, detail)
      select 'user.group.ended', 'system', u.id, u.username, jsonb_build_object('group', g.name,
        'before', jsonb_build_object('since', ${inUtc('since')}, 'until', ${inUtc('until')}), 'after', null)
      from ended e join users u on u.id = e.user_id join groups g on g.id = e.group_id)
    select count(*)::int as ended from ended`)
  return row?.ended ?? 0
}
