// Somebody as access rules see them, with the reasons in words: a user, or a user with given Entra groups.
import { permits, type Allow, type Grounds, type SessionRights } from '../core/access.js'
import type { HeaderSource } from '../core/identity-headers.js'
import type { Cause, GroupMapping } from '../core/mapping.js'
import type { EntraSnapshot, HeldGroup, LocalGroup, PolicyUser } from '../core/policy.js'

export interface EvaluatedUser extends HeaderSource {
  readonly held: readonly HeldGroup[]
  readonly staffCause: readonly Cause[] | null
  readonly superuserCause: readonly Cause[] | null
  readonly snapshot: EntraSnapshot | undefined
  readonly mapping: GroupMapping
}

/** A rule, and whether it lets somebody in. */
export interface JudgedRule {
  /** Such as `access.rules[2]`. */
  readonly path: string
  /** What people read in its place. */
  readonly name: string | null
  /** Whom it lets in, in words. */
  readonly allows: string
  readonly lets: boolean
  readonly because: string
}

/** A user with these rights and without a row in the database. */
export function assumedUser(rights: SessionRights, mapping: GroupMapping): EvaluatedUser {
  return {
    ...evaluatedGroups([], mapping, []),
    ...rights,
    username: 'a user with these groups',
    held: rights.groups.map((name) => ({ name, permissions: rights.permissions, cause: null })),
    staffCause: null,
    superuserCause: null,
  }
}

/** @returns undefined: an inactive user counts as anonymous */
export function evaluatedUser(user: PolicyUser, mapping: GroupMapping): EvaluatedUser | undefined {
  return user.isActive ? { ...user, mapping } : undefined
}

/** What a sign-in with these Entra groups would make of somebody. @param localGroups those of the mapping that exist */
export function evaluatedGroups(
  entraGroupIds: readonly string[],
  mapping: GroupMapping,
  localGroups: readonly LocalGroup[],
): EvaluatedUser {
  const { groups, staff, superuser } = mapping.evaluate(entraGroupIds)
  const held = localGroups.filter(({ name }) => groups.has(name))
    .map((group) => ({ ...group, cause: groups.get(group.name) ?? [] }))
    .sort((a, b) => a.name < b.name ? -1 : 1)
  return {
    userId: '',
    username: 'a user with these Entra groups',
    email: null,
    emailVerified: false,
    name: null,
    givenName: null,
    familyName: null,
    oid: null,
    tid: null,
    groups: held.map(({ name }) => name),
    permissions: [...new Set(held.flatMap(({ permissions }) => permissions))].sort(),
    isStaff: staff.length > 0,
    isSuperuser: superuser.length > 0,
    held,
    staffCause: staff,
    superuserCause: superuser,
    snapshot: undefined,
    mapping,
  }
}

export function judged({ path, name, allow, allows }: Grounds, user: EvaluatedUser | undefined): JudgedRule {
  const lets = permits(allow, user)
  return { path, name: name ?? null, allows, lets, because: lets ? because(allow, user) : refusalReason(user) }
}

function refusalReason(user: EvaluatedUser | undefined): string {
  return user === undefined ? 'no user is signed in' : `${user.username} is none of these`
}

function because(allow: Allow, user: EvaluatedUser | undefined): string {
  if (allow === 'anyone' || user === undefined) return 'it asks for nothing'
  const { username, mapping } = user
  const reason = (cause: readonly Cause[] | null | undefined): string =>
    cause ? `, because of ${mapping.namesOf(cause).join(' and ')}` : ', set by hand'
  if (user.isSuperuser) return `${username} is a superuser${reason(user.superuserCause)}`
  if (typeof allow === 'string') return `${username} is signed in`
  const { groups, permissions } = allow
  if (allow.staff && user.isStaff) return `${username} is staff${reason(user.staffCause)}`
  const group = groups.find((name) => user.groups.includes(name))
  if (group !== undefined) {
    return `${username} is a member of ${group}${reason(user.held.find(({ name }) => name === group)?.cause)}`
  }
  const permission = permissions.find((name) => user.permissions.includes(name)) ?? ''
  const through = user.held.filter((each) => each.permissions.includes(permission))
  return `${username} holds ${permission}, through ${
    through.map(({ name, cause }) => `${name}${reason(cause)}`).join(' and ')
  }`
}
