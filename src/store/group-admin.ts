// Changes to one local group at a time. Each is one transaction with its audit row: actor, before and after.
import { sql } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { checkGroupName, checkPermission } from './groups.js'
import { memberCount } from './groups-list.js'

export interface GroupAdmin {
  /** Memberships and permissions stay with the group. @throws `group_unknown`, `group_exists`, `group_name_invalid` */
  rename(name: string, to: string, actor: string): Promise<void>
  /** Memberships and permissions go with it. @returns how many people were in it @throws `group_unknown` */
  remove(name: string, actor: string): Promise<number>
  /** @returns false where the group had it already @throws `group_unknown`, `permission_invalid` */
  grant(name: string, permission: string, actor: string): Promise<boolean>
  /** @returns false where the group did not have it @throws `group_unknown` */
  revoke(name: string, permission: string, actor: string): Promise<boolean>
}

export function createGroupAdmin(database: Database): GroupAdmin {
  return {
    async rename(name, to, actor) {
      checkGroupName(to)
      await database.transaction((tx) => renameGroup(tx, name, to, actor))
    },
    remove: (name, actor) => database.transaction((tx) => removeGroup(tx, name, actor)),
    async grant(name, permission, actor) {
      checkPermission(permission, name)
      return await database.transaction((tx) => grantPermission(tx, name, permission, actor))
    },
    revoke: (name, permission, actor) => database.transaction((tx) => revokePermission(tx, name, permission, actor)),
  }
}

async function renameGroup(tx: Transaction, name: string, to: string, actor: string): Promise<void> {
  await tx.execute(sql`lock table groups in share row exclusive mode`) // two renames to one name meet here
  const group = await lockedGroup(tx, name)
  const { rowCount } = await tx.execute(
    sql`update groups set name = ${to} where id = ${group.id} and not exists (select 1 from groups other where
      other.name = ${to} and other.id <> ${group.id})`,
  )
  if (rowCount === 0) throw new GatehouseError('group_exists', { detail: `there is a group ${to} already` })
  await writeAudit(tx, { action: 'group.rename', actor, detail: { before: { name }, after: { name: to } } })
}

async function removeGroup(tx: Transaction, name: string, actor: string): Promise<number> {
  const group = await lockedGroup(tx, name)
  const { rows: [before] } = await tx.execute<{ members: number, permissions: string[], description: string }>(sql`
    select description, ${memberCount(sql`${group.id}::uuid`)} as members,
      coalesce((select array_agg(permission order by permission) from group_permissions where group_id =
        ${group.id}), '{}') as permissions
    from groups where id = ${group.id}`)
  await tx.execute(sql`delete from groups where id = ${group.id}`)
  await writeAudit(tx, { action: 'group.remove', actor, detail: { before: { name, ...before }, after: null } })
  return before?.members ?? 0
}

async function grantPermission(tx: Transaction, name: string, permission: string, actor: string): Promise<boolean> {
  const group = await lockedGroup(tx, name)
  const { rowCount } = await tx.execute(
    sql`insert into group_permissions (group_id, permission) values (${group.id}, ${permission}) on conflict do
      nothing`,
  )
  if (rowCount === 0) return false
  await writeAudit(tx, { action: 'group.permission.granted', actor, detail: { group: name, value: permission } })
  return true
}

async function revokePermission(tx: Transaction, name: string, permission: string, actor: string): Promise<boolean> {
  const group = await lockedGroup(tx, name)
  const { rowCount } = await tx.execute(
    sql`delete from group_permissions where group_id = ${group.id} and permission = ${permission}`,
  )
  if (rowCount === 0) return false
  await writeAudit(tx, { action: 'group.permission.revoked', actor, detail: { group: name, value: permission } })
  return true
}

async function lockedGroup(tx: Transaction, name: string): Promise<{ id: string }> {
  const { rows: [group] } = await tx.execute<{ id: string }>(sql`select id from groups where name = ${name} for update`)
  if (group) return group
  const { rows: [near] } = await tx.execute<{ name: string }>(
    sql`select name from groups where lower(translate(name, ' _-', '')) = lower(translate(${name}::text, ' _-', ''))
      limit 1`,
  )
  throw new GatehouseError('group_unknown', {
    detail: `there is no group ${name}`,
    remedy: near ? `Did you mean ${near.name}? Names are compared exactly.` : 'gatehouse groups list shows them.',
  })
}
