// The caller and what the caller may read: the permission tables of transitiveMemberOf, user and group, newest edition.
import type { DirectoryUser } from '../../directory.js'
import type { World } from '../types.js'
import { GraphError, invalidToken, notFound, requestDenied } from './errors.js'

export interface Caller {
  kind: 'delegated' | 'app'
  userId?: string
  permissions: ReadonlySet<string>
}

const directoryWide = ['Directory.Read.All', 'Directory.ReadWrite.All']
const readsGroups = ['GroupMember.Read.All', 'Group.Read.All', 'Group.ReadWrite.All', ...directoryWide]
const readsUsers = ['User.Read.All', 'User.ReadWrite.All', ...directoryWide]

/** Permissions, each of which is sufficient: delegated for the own account or for others, or of an application. */
interface PermissionRow {
  readonly own: readonly string[]
  readonly others: readonly string[]
  readonly app: readonly string[]
}

const table: Readonly<Record<'memberships' | 'user' | 'group', PermissionRow>> = {
  memberships: {
    own: ['User.Read', ...readsUsers, ...readsGroups],
    others: [...readsUsers, ...readsGroups],
    app: [...readsUsers, ...readsGroups],
  },
  user: {
    own: ['User.Read', 'User.ReadWrite', 'User.ReadBasic.All', ...readsUsers],
    others: ['User.ReadBasic.All', ...readsUsers],
    app: ['User.ReadBasic.All', ...readsUsers],
  },
  group: { own: readsGroups, others: readsGroups, app: readsGroups },
}

/** Delta queries of users and groups list the whole tenant: permissions for the own account are not sufficient. */
export function requireDelta(caller: Caller, kind: 'users' | 'groups') {
  if (!holds(caller, kind === 'users' ? readsUsers : readsGroups)) throw requestDenied()
}

const readsApplications = ['Application.Read.All', 'Application.ReadWrite.All', ...directoryWide]

export function requireApplicationRead(caller: Caller) {
  if (!holds(caller, readsApplications)) throw requestDenied()
}

/** Permissions, each of which lets an object of that type show more than its id. */
const showsDetails = {
  group: readsGroups,
  directoryRole: ['RoleManagement.Read.Directory', 'RoleManagement.Read.All', ...directoryWide],
  administrativeUnit: ['AdministrativeUnit.Read.All', ...directoryWide],
}

const holds = (caller: Caller, permissions: readonly string[]) =>
  permissions.some((name) => caller.permissions.has(name))

export function readCaller(world: World, authorization: string | undefined): Caller {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (token === undefined) throw invalidToken('Access token is empty.')
  const foreign = world.acceptToken?.(token)
  if (foreign) return { kind: 'delegated', permissions: new Set(foreign.permissions), userId: foreign.userId }
  const known = world.tokens.accessTokens.get(token)
  if (!known && world.tokens.issued.includes(token)) {
    throw invalidToken('Access token validation failure. Invalid audience.')
  }
  if (!known) throw invalidToken('CompactToken parsing failed with error code: 80049217')
  if (known.expiresAt <= world.now()) throw invalidToken('Lifetime validation failed, the token is expired.')
  return {
    kind: known.kind,
    permissions: new Set(known.permissions),
    ...(known.userId !== undefined && { userId: known.userId }),
  }
}

/** Permission is checked before existence: a caller without permission does not learn which users exist. */
export function requireUser(world: World, caller: Caller, idOrUpn: string | undefined, about: 'memberships' | 'user') {
  if (idOrUpn === undefined && caller.kind === 'app') {
    throw new GraphError(400, 'BadRequest', '/me request is only valid with delegated authentication flow.')
  }
  const user = world.directory.findUser(idOrUpn ?? caller.userId ?? '')
  const own = caller.kind === 'delegated' && (idOrUpn === undefined || user?.id === caller.userId)
  if (!holds(caller, permissionsFor(caller, table[about], own))) throw requestDenied()
  if (!user) throw notFound(idOrUpn ?? caller.userId ?? '')
  return user
}

function permissionsFor({ kind }: Caller, { app, own, others }: PermissionRow, isOwn: boolean): readonly string[] {
  if (kind === 'app') return app
  return isOwn ? own : others
}

/** A tenant may restrict guests to the list of groups, or to none (canonical/authd issue 517). */
export function requireMembershipAccess({ membershipAccess = 'all' }: DirectoryUser, cast: boolean) {
  if (membershipAccess === 'none' || (membershipAccess === 'groups' && !cast)) throw requestDenied()
}

/** A signed-in user sees the hidden groups they are in; an application does with Member.Read.Hidden alone. */
export function mayReadHidden(caller: Caller): boolean {
  return caller.kind === 'delegated' || caller.permissions.has('Member.Read.Hidden')
}

export function requireGroup(world: World, caller: Caller, id: string) {
  if (!holds(caller, table.group.others)) throw requestDenied()
  const group = world.directory.objects.get(id.toLowerCase())
  if (group?.type !== 'group') throw notFound(id)
  return group
}

export function mayReadDetails(world: World, caller: Caller, type: keyof typeof showsDetails): boolean {
  return !world.nullNames || holds(caller, showsDetails[type])
}
