// What acts on local groups read, lock and change, in the transaction of the act (act-unit.ts). A sign-in never makes a
// group.
import { sql, type SQL } from 'drizzle-orm'
import type { GroupsUnit, GroupTarget } from '../core/group-acts.js'
import { dropReviewsOfGroup } from './access-reviews.js'
import type { Transaction } from './database.js'
import { groupsQuery } from './groups-list.js'

export function groupsUnit(tx: Transaction): GroupsUnit {
  return {
    async target(name) {
      await lockNames(tx)
      await tx.execute(sql`select 1 from groups where name = ${name} for update`)
      return (await read(tx, sql`g.name = ${name}`))[0]
    },
    async similar(name) {
      const { rows: [near] } = await tx.execute<{ name: string }>(
        sql`select name from groups where lower(translate(name, ' _-', '')) = lower(translate(${name}::text, ' _-', ''))
          limit 1`,
      )
      return near?.name
    },
    async all() {
      await lockNames(tx)
      return await read(tx, sql`true`)
    },
    async add(name, description) {
      const { rows: [group] } = await tx.execute<{ id: string }>(sql`
        insert into groups (name, description) values (${name}, ${description}) on conflict (name) do nothing
        returning id`)
      return group?.id
    },
    async rename(id, name) {
      const { rowCount } = await tx.execute(sql`
        update groups set name = ${name} where id = ${id} and not exists (
          select 1 from groups other where other.name = ${name} and other.id <> ${id})`)
      return rowCount === 1
    },
    describe: async (id, description) => {
      await tx.execute(sql`update groups set description = ${description} where id = ${id}`)
    },
    remove: async (id) => {
      await tx.execute(sql`delete from groups where id = ${id}`)
    },
    async grant(id, permission) {
      const { rowCount } = await tx.execute(sql`
        insert into group_permissions (group_id, permission) values (${id}, ${permission}) on conflict do nothing`)
      if (rowCount === 1) await dropReviewsOfGroup(tx, id) // guard: review-permission-granted
      return rowCount === 1
    },
    async revoke(id, permission) {
      const { rowCount } = await tx.execute(sql`
        delete from group_permissions where group_id = ${id} and permission = ${permission}`)
      if (rowCount === 1) await dropReviewsOfGroup(tx, id) // guard: review-permission-revoked
      return rowCount === 1
    },
  }
}

async function read(tx: Transaction, where: SQL): Promise<readonly GroupTarget[]> {
  const { rows } = await tx.execute<GroupTarget & Record<string, unknown>>(sql`
    select g.id, v.* from (${groupsQuery(where)}) v join groups g using (name) order by name`)
  return rows
}

/** Two acts that want one name wait for each other; reads and sign-ins do not wait. */
async function lockNames(tx: Transaction): Promise<void> {
  await tx.execute(sql`lock table groups in share row exclusive mode`)
}
