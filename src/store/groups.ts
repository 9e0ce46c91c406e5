// Local groups and their permissions: made by administrators alone, never by a login. Every change is recorded with who
// made it, and a whole file is applied or nothing of it.
import { eq, sql } from 'drizzle-orm'
import { ADMIN_PERMISSIONS, ADMIN_PREFIX, isAdminPermission } from '../core/admin-permissions.js'
import { GatehouseError } from '../core/errors.js'
import type { GroupView } from '../core/groups.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { groupsQuery } from './groups-list.js'
import { groupPermissions, groups } from './schema.js'

/** A group as a file describes it. */
export interface GroupDefinition {
  readonly name: string
  readonly description?: string | undefined
  readonly permissions?: readonly string[] | undefined
}

export interface GroupChange {
  readonly name: string
  readonly change: 'added' | 'description' | 'permission granted' | 'permission revoked'
  readonly value?: string
}

export interface GroupStore {
  list(): Promise<readonly GroupView[]>
  /** @throws `group_exists`, `group_name_invalid` */
  add(definition: GroupDefinition, actor: string): Promise<void>
  /** Adds what is missing and makes descriptions and permissions as described; other groups stay. Idempotent. */
  apply(
    definitions: readonly GroupDefinition[],
    options: { actor: string, dryRun: boolean },
  ): Promise<readonly GroupChange[]>
}

const PERMISSION = /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/i

export function createGroupStore(database: Database): GroupStore {
  return {
    list: () => database.ask(listGroups),
    async add(definition, actor) {
      checkDefinition(definition)
      await database.transaction(async (tx) => {
        const changes = await applyOne(tx, definition, new Map(), actor)
        if (changes[0]?.change !== 'added') {
          throw new GatehouseError('group_exists', { detail: `there is a group ${definition.name} already` })
        }
      })
    },
    async apply(definitions, { actor, dryRun }) {
      definitions.forEach(checkDefinition)
      const undo = new Undo()
      try {
        return await database.transaction(async (tx) => {
          const known = new Map((await listGroups(tx)).map((group) => [group.name, group]))
          const changes: GroupChange[] = []
          for (const definition of definitions) changes.push(...await applyOne(tx, definition, known, actor))
          undo.changes = changes
          if (dryRun) throw undo
          return changes
        })
      } catch (error) {
        if (dryRun && undo.changes) return undo.changes
        throw error
      }
    },
  }
}

class Undo extends Error {
  changes: readonly GroupChange[] | undefined
}

async function listGroups(db: Pick<Transaction, 'execute'>): Promise<readonly GroupView[]> {
  const { rows } = await db.execute<GroupView & Record<string, unknown>>(groupsQuery(sql`true`))
  return rows
}

async function applyOne(
  tx: Transaction,
  definition: GroupDefinition,
  known: ReadonlyMap<string, GroupView>,
  actor: string,
): Promise<GroupChange[]> {
  const { name, description } = definition
  const changes: GroupChange[] = []
  const [made] = await tx.insert(groups).values({ name, description: description ?? '' }).onConflictDoNothing({
    target: groups.name,
  }).returning({ id: groups.id })
  const [row] = made ? [made] : await tx.select({ id: groups.id }).from(groups).where(eq(groups.name, name))
  if (!row) throw new GatehouseError('internal', { detail: `the group ${name} was neither there nor made` })
  const before = known.get(name)
  if (made) changes.push({ name, change: 'added' })
  else if (description !== undefined && before && before.description !== description) {
    await tx.update(groups).set({ description }).where(eq(groups.id, row.id))
    changes.push({ name, change: 'description', value: description })
  }
  changes.push(...await applyPermissions(tx, row.id, definition, before?.permissions ?? []))
  for (const { change, value } of changes) {
    await writeAudit(tx, {
      action: change === 'added' ? 'group.add' : `group.${change.replace(' ', '.')}`,
      actor,
      detail: { group: name, ...(value === undefined ? {} : { value }) },
    })
  }
  return changes
}

async function applyPermissions(
  tx: Transaction,
  groupId: string,
  { name, permissions }: GroupDefinition,
  before: readonly string[],
): Promise<GroupChange[]> {
  if (permissions === undefined) return []
  const granted = permissions.filter((permission) => !before.includes(permission))
  const revoked = before.filter((permission) => !permissions.includes(permission))
  if (granted.length > 0) {
    await tx.insert(groupPermissions).values(granted.map((permission) => ({ groupId, permission })))
      .onConflictDoNothing()
  }
  if (revoked.length > 0) {
    await tx.delete(groupPermissions).where(
      sql`group_id = ${groupId} and permission = any(${sql.param([...revoked])}::text[])`,
    )
  }
  return [
    ...granted.map((value): GroupChange => ({ name, change: 'permission granted', value })),
    ...revoked.map((value): GroupChange => ({ name, change: 'permission revoked', value })),
  ]
}

function checkDefinition({ name, permissions }: GroupDefinition): void {
  checkGroupName(name)
  permissions?.forEach((permission) => checkPermission(permission, name))
}

/** @throws `group_name_invalid` */
export function checkGroupName(name: string): void {
  const invalid = (detail: string) =>
    new GatehouseError('group_name_invalid', {
      detail: `${JSON.stringify(name)} ${detail}`,
      remedy: 'Names go into headers, separated by commas.',
    })
  if (name === '' || name !== name.trim()) throw invalid('is empty or begins or ends with white space')
  if ([...name].length > 150) throw invalid('has more than 150 characters')
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(name)) throw invalid('has a control character')
  if (name.includes(',')) throw invalid('has a comma')
}

/** @throws `permission_invalid` */
export function checkPermission(permission: string, group: string): void {
  if (!PERMISSION.test(permission)) {
    throw new GatehouseError('permission_invalid', {
      detail: `${JSON.stringify(permission)} of the group ${group} is no permission`,
    })
  }
  // A word with the reserved prefix that is unknown today could become a right of the console in a later version.
  if (isReserved(permission) && !isAdminPermission(permission)) { // guard: admin-reserved-words
    throw new GatehouseError('permission_invalid', {
      detail: `${JSON.stringify(permission)} of the group ${group} begins with ${ADMIN_PREFIX}, which is reserved`,
      remedy: `Permissions of the console are ${Object.keys(ADMIN_PERMISSIONS).join(', ')}.`,
    })
  }
}

function isReserved(permission: string): boolean {
  return permission.toLowerCase().startsWith(ADMIN_PREFIX)
}
