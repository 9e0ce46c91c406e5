// Local groups as files and administrators define them: which names and permissions are valid, and what a file changes.
import { ADMIN_PERMISSIONS, ADMIN_PREFIX, isAdminPermission } from './admin-permissions.js'
import { GatehouseError } from './errors.js'
import type { GroupView } from './groups.js'

/** A group as a file describes it. */
export interface GroupDefinition {
  readonly name: string
  /** Absent: it stays as it is. */
  readonly description?: string | undefined
  /** All of them; absent: they stay as they are. */
  readonly permissions?: readonly string[] | undefined
}

export interface GroupChange {
  readonly name: string
  readonly change: 'added' | 'description' | 'permission granted' | 'permission revoked'
  readonly value?: string
}

/** The character that separates the names of groups in a header. */
export interface NameSeparator {
  /** Of `headers.extra`. */
  readonly name: string
  readonly separator: string
}

export const MOST_GROUP_NAME = 150
const PERMISSION = /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/i

/** Adds what is missing and makes descriptions and permissions as described; groups of no definition stay. */
export function groupChanges(
  definitions: readonly GroupDefinition[],
  existing: readonly GroupView[],
): readonly GroupChange[] {
  const known = new Map(existing.map((group) => [group.name, group]))
  return definitions.flatMap((definition) => changesOf(definition, known.get(definition.name)))
}

function changesOf({ name, description, permissions }: GroupDefinition, before: GroupView | undefined): GroupChange[] {
  const held = new Set(before?.permissions)
  const wanted = permissions === undefined ? held : new Set(permissions)
  const isDescribed = before !== undefined && description !== undefined && description !== before.description
  return [
    ...before === undefined ? [{ name, change: 'added' } as const] : [],
    ...isDescribed ? [{ name, change: 'description', value: description } as const] : [],
    ...[...wanted].filter((word) => !held.has(word)).map((value) => ({
      name,
      change: 'permission granted' as const,
      value,
    })),
    ...[...held].filter((word) => !wanted.has(word)).map((value) => ({
      name,
      change: 'permission revoked' as const,
      value,
    })),
  ]
}

/** @throws GatehouseError `group_name_invalid`, `permission_invalid` */
export function checkDefinition({ name, permissions }: GroupDefinition, separators: readonly NameSeparator[]): void {
  checkGroupName(name, separators)
  permissions?.forEach((permission) => checkPermission(permission, name))
}

/** Names go into headers, between separators. @throws GatehouseError `group_name_invalid` */
export function checkGroupName(name: string, separators: readonly NameSeparator[]): void {
  if (name === '' || name !== name.trim()) throw nameInvalid(name, 'is empty or begins or ends with white space')
  if ([...name].length > MOST_GROUP_NAME) throw nameInvalid(name, `has more than ${MOST_GROUP_NAME} characters`)
  if (/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(name)) throw nameInvalid(name, 'has a control character')
  if (name.includes(',')) throw nameInvalid(name, 'has a comma')
  const split = separators.find(({ separator }) => name.includes(separator)) // guard: act-group-separator
  if (split === undefined) return
  const { name: header, separator } = split
  throw nameInvalid(
    name,
    `holds ${JSON.stringify(separator)}, which separates the groups in ${header} (headers.extra)`,
    'Choose another name, or another separator.',
  )
}

function nameInvalid(name: string, problem: string, remedy = 'Names go into headers, separated by commas.') {
  const detail = `${JSON.stringify(name)} ${problem}`
  return new GatehouseError('group_name_invalid', {
    detail,
    remedy,
    sentence: `This is not a valid name for a group: ${detail}.`,
  })
}

/** @throws GatehouseError `permission_invalid` */
export function checkPermission(permission: string, group: string): void {
  const word = JSON.stringify(permission)
  if (!PERMISSION.test(permission)) {
    throw new GatehouseError('permission_invalid', {
      detail: `${word} of the group ${group} is no permission`,
      sentence: `${word} is not a valid permission: words joined by dots, like netbox.view.`,
    })
  }
  // A word with the reserved prefix that is unknown today could become a right of the console in a later version.
  if (isReserved(permission) && !isAdminPermission(permission)) { // guard: admin-reserved-words
    const known = `Permissions of the console are ${Object.keys(ADMIN_PERMISSIONS).join(', ')}.`
    throw new GatehouseError('permission_invalid', {
      detail: `${word} of the group ${group} begins with ${ADMIN_PREFIX}, which is reserved`,
      remedy: known,
      sentence: `${word} begins with ${ADMIN_PREFIX}, which is reserved. ${known}`,
    })
  }
}

function isReserved(permission: string): boolean {
  return permission.toLowerCase().startsWith(ADMIN_PREFIX)
}
