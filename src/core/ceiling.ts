// Administrators give only what they hold at this moment, and only superusers act upon superusers and users with
// break-glass. Pure: the use cases of acts (src/admin/acts) ask before they change anything.
import { ADMIN_PREFIX, adminPermissions, type AdminPermission } from './admin-permissions.js'
import { GatehouseError } from './errors.js'
import type { PolicyGains } from './policy-gains.js'

/** What an administrator holds. */
export interface Holdings {
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  /** Permissions of local groups. */
  readonly permissions: readonly string[]
}

/** Of a command, which has the database itself. */
export const HOLDS_EVERYTHING: Holdings = { isStaff: true, isSuperuser: true, permissions: [] }

/** What a user would have as the result of an act, directly or by a group. */
export interface Gain {
  readonly staff?: boolean
  readonly superuser?: boolean
  /** An emergency sign-in makes its user a superuser. */
  readonly breakGlass?: boolean
  /** Of the groups that are given, or that a group is given; those of applications do not count. */
  readonly permissions?: readonly string[]
}

/** @throws GatehouseError `not_allowed` */
export function requirePermission(holder: Holdings, permission: AdminPermission): void {
  if (adminPermissions(holder).has(permission)) return // guard: act-permission-again
  throw new GatehouseError('not_allowed', { detail: `the administrator lacks ${permission} now` })
}

/** @throws GatehouseError `above_own_rights` */
export function requireWithinOwnRights(holder: Holdings, gain: Gain): void {
  if (holder.isSuperuser) return
  const held: ReadonlySet<string> = adminPermissions(holder)
  const above = [
    ...gain.superuser ? ['superuser'] : [],
    ...gain.breakGlass ? ['break-glass'] : [],
    ...gain.staff && !holder.isStaff ? ['staff'] : [],
    // also those that the console does not have yet
    ...(gain.permissions ?? []).filter((word) => word.startsWith(ADMIN_PREFIX) && !held.has(word)),
  ]
  if (above.length > 0) { // guard: act-ceiling
    throw aboveOwnRights(`the result gives ${above.join(', ')}, which the administrator does not hold`)
  }
}

/**
 * For a change of the policy.
 * @param permissionsOf permissions of the console that a local group has
 * @throws GatehouseError `above_own_rights`
 */
export function requireMayDeploy(
  holder: Holdings,
  { superusersAlone, groups }: PolicyGains,
  permissionsOf: (group: string) => readonly string[],
): void {
  if (holder.isSuperuser) return
  if (superusersAlone.length > 0) { // guard: policy-superusers-alone
    throw aboveOwnRights(`only superusers deploy this: ${superusersAlone.join(', ')}`)
  }
  requireWithinOwnRights(holder, { permissions: groups.flatMap(permissionsOf) }) // guard: policy-own-permissions
}

/** Whether `requireMayDeploy` allows it. */
export function mayDeploy(...change: Parameters<typeof requireMayDeploy>): boolean {
  try {
    requireMayDeploy(...change)
    return true
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'above_own_rights') return false
    throw error
  }
}

/** @throws GatehouseError `above_own_rights` */
export function requireMayActUpon(
  holder: Holdings,
  target: { readonly isSuperuser: boolean, readonly isBreakGlass: boolean },
): void {
  if (holder.isSuperuser || !(target.isSuperuser || target.isBreakGlass)) return // guard: act-upon-superusers
  throw aboveOwnRights('only superusers act upon superusers and users with break-glass')
}

/** For acts that are superusers' alone, such as renaming. @throws GatehouseError `above_own_rights` */
export function requireSuperuser(holder: Holdings): void {
  if (holder.isSuperuser) return // guard: act-superusers-alone
  throw aboveOwnRights('only superusers may do this')
}

/**
 * For an act that takes the rights of an active superuser away.
 * @param others active superusers beside the one whom the act is about, locked
 * @throws GatehouseError `last_superuser`
 */
export function requireSuperuserLeft(others: number): void {
  if (others > 0) return // guard: act-last-superuser
  throw new GatehouseError('last_superuser', {
    detail: 'no active superuser would be left',
    remedy: 'Make another user superuser first: groupMapping[].superuser gives the flag.',
  })
}

function aboveOwnRights(detail: string): GatehouseError {
  return new GatehouseError('above_own_rights', { detail })
}
