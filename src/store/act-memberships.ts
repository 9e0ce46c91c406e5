// What acts on memberships read, lock and change, in the transaction of the act (act-unit.ts).
import { sql } from 'drizzle-orm'
import type { MembershipUnit } from '../core/acts.js'
import type { Transaction } from './database.js'
import { recordEndedMemberships } from './ended-memberships.js'
import { liveMembership, membershipEnd } from './live-membership.js'

/** More than a user has. */
const ALL_OF_ONE = 10_000

export function membershipUnit(tx: Transaction): MembershipUnit {
  return {
    async now() {
      const { rows: [row] } = await tx.execute<{ now: number }>(
        sql`select extract(epoch from statement_timestamp())::float8 * 1000 as now`,
      )
      return row?.now ?? Infinity
    },
    async group(name) {
      const { rows: [group] } = await tx.execute<{ id: string }>(sql`
        select id from groups where name = ${name} for share`)
      if (group === undefined) return undefined
      // read by a statement that begins once the group is locked
      const { rows } = await tx.execute<{ permission: string }>(sql`
        select permission from group_permissions where group_id = ${group.id} order by 1`)
      return { id: group.id, permissions: rows.map(({ permission }) => permission) }
    },
    async find(userId, groupId) {
      const { rows: [row] } = await tx.execute<{ byHand: boolean, ends: number | null }>(sql`
        select m.cause is null as "byHand", extract(epoch from ${membershipEnd('m')})::float8 * 1000 as ends
        from user_groups m where m.user_id = ${userId} and m.group_id = ${groupId} and ${liveMembership('m')}`)
      if (row === undefined) return undefined
      return { byHand: row.byHand, until: row.ends === null ? null : new Date(row.ends).toISOString() }
    },
    async hasEntraIdentity(userId) {
      const { rowCount } = await tx.execute(sql`select 1 from identities where user_id = ${userId} limit 1`)
      return rowCount === 1
    },
    async recordEnded(userId) {
      await recordEndedMemberships(tx, { userId, limit: ALL_OF_ONE })
    },
    async give(userId, groupId, until) {
      await tx.execute(sql`
        insert into user_groups (user_id, group_id, until) values (${userId}, ${groupId}, ${until}::timestamptz)
        on conflict (user_id, group_id) do update set until = excluded.until where user_groups.cause is null`)
    },
    async take(userId, groupId) {
      await tx.execute(sql`
        delete from user_groups where user_id = ${userId} and group_id = ${groupId} and cause is null`)
    },
  }
}
