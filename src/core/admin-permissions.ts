// What an administrator may do in the console and its API: permissions of local groups with a reserved prefix, so that
// they come from Entra groups like every other right.
import type { SessionRights } from './access.js'

export const ADMIN_PREFIX = 'gatehouse.'

/** Each permission, and what it allows. Every one of them includes `gatehouse.read`. */
export const ADMIN_PERMISSIONS = {
  'gatehouse.read': 'see users, groups, sessions, the policy and the audit record',
  'gatehouse.sessions': 'end sessions and deactivate users',
  'gatehouse.people': 'add, activate and remove users, and assign groups by hand',
  'gatehouse.policy': 'change the policy, groups and their permissions',
  'gatehouse.tokens': 'make and revoke tokens',
  'gatehouse.keys': 'rotate the signing keys',
} as const

export type AdminPermission = keyof typeof ADMIN_PERMISSIONS

const ALL = Object.keys(ADMIN_PERMISSIONS) as readonly AdminPermission[]
const NONE: ReadonlySet<AdminPermission> = new Set()

export function isAdminPermission(text: string): text is AdminPermission {
  return Object.hasOwn(ADMIN_PERMISSIONS, text)
}

/**
 * The permissions that a user has at this moment: superusers have all of them, staff have `gatehouse.read`.
 * Unknown permissions with the reserved prefix grant nothing.
 */
export function adminPermissions(
  { isStaff, isSuperuser, permissions }: Pick<SessionRights, 'isStaff' | 'isSuperuser' | 'permissions'>,
): ReadonlySet<AdminPermission> {
  if (isSuperuser) return new Set(ALL)
  const held = permissions.filter(isAdminPermission)
  return held.length > 0 || isStaff ? new Set<AdminPermission>(['gatehouse.read', ...held]) : NONE
}
