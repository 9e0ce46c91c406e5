// The data of the simulated tenant: users, the objects that they can be members of, and the memberships. Pure and in
// memory; all of it may change while a simulator runs, as it does when an administrator uses the portal.

export interface DirectoryUser {
  id: string
  displayName: string
  givenName?: string
  surname?: string
  userPrincipalName: string
  mail?: string
  accountEnabled: boolean
  userType: 'Member' | 'Guest'
  /** Another organisation's tenant, whose people sign in at a registration that is open to several. */
  homeTenantId?: string
  /** The optional claim `xms_edov` (e-mail domain owner verified); Entra writes `true` or the string "1". */
  edov?: boolean | '1'
  signInSessionsValidFromDateTime: string
  /** A guest's address in the home tenant. */
  externalEmail?: string
  /** Which memberships Graph lists: all (default), only groups by a cast, or none; else 403. */
  membershipAccess?: 'all' | 'groups' | 'none'
  /** One line for the sign-in page; not a property of Graph. */
  note?: string
}

export interface DirectoryObject {
  id: string
  type: 'group' | 'directoryRole' | 'administrativeUnit'
  displayName: string
  securityEnabled?: boolean
  groupTypes?: string[]
  /** Of a Microsoft 365 group; Public is the default of Entra. */
  visibility?: 'Public' | 'Private' | 'HiddenMembership'
}

export interface Directory {
  tenantId: string
  users: Map<string, DirectoryUser>
  objects: Map<string, DirectoryObject>
  addUser(user: DirectoryUser): DirectoryUser
  addObject(object: DirectoryObject): DirectoryObject
  removeUser(id: string): void
  removeObject(id: string): void
  /** `memberId` is a user or a group. Microsoft 365 groups take users only, as in Entra. */
  addMember(containerId: string, memberId: string): void
  removeMember(containerId: string, memberId: string): void
  directMemberOf(userId: string): string[]
  /** Users and groups. */
  directMembersOf(containerId: string): readonly string[]
  /**
   * Every object that has the user as a member, directly or through groups: nearest first, then in the order of
   * joining, each id once.
   */
  transitiveMemberOf(userId: string): string[]
  /** By object id or user principal name, either in any case. */
  findUser(idOrUpn: string): DirectoryUser | undefined
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createDirectory(tenantId: string): Directory {
  const users = new Map<string, DirectoryUser>()
  const objects = new Map<string, DirectoryObject>()
  return {
    tenantId,
    users,
    objects,
    ...createMemberships(users, objects),
    addUser(user) {
      requireNewId(users, objects, user.id)
      users.set(user.id, user)
      return user
    },
    addObject(object) {
      requireNewId(users, objects, object.id)
      objects.set(object.id, object)
      return object
    },
    findUser(idOrUpn) {
      const wanted = idOrUpn.toLowerCase()
      const byId = users.get(wanted)
      if (byId || guid.test(wanted)) return byId
      return [...users.values()].find((user) => user.userPrincipalName.toLowerCase() === wanted)
    },
  }
}

function requireNewId(users: Directory['users'], objects: Directory['objects'], id: string): void {
  if (!guid.test(id)) throw new Error(`directory: ${id} is no object id (a GUID in lower case)`)
  if (users.has(id) || objects.has(id)) throw new Error(`directory: ${id} is taken`)
}

type Memberships = Pick<
  Directory,
  | 'removeUser'
  | 'removeObject'
  | 'addMember'
  | 'removeMember'
  | 'directMemberOf'
  | 'directMembersOf'
  | 'transitiveMemberOf'
>

/** Every change clears what is computed from the direct memberships at the next read. */
function createMemberships(users: Directory['users'], objects: Directory['objects']): Memberships {
  const containersOf = new Map<string, Set<string>>()
  const closures = new Map<string, string[]>()
  let members: Map<string, string[]> | undefined

  const changed = () => {
    closures.clear()
    members = undefined
  }
  const directMemberOf = (userId: string) => [...containersOf.get(userId) ?? []]
  const removeMemberships = (id: string) => {
    containersOf.delete(id)
    for (const containers of containersOf.values()) containers.delete(id)
    changed()
  }
  return {
    removeUser(id) {
      users.delete(id)
      removeMemberships(id)
    },
    removeObject(id) {
      objects.delete(id)
      removeMemberships(id)
    },
    addMember(containerId, memberId) {
      requireMembership(users, objects, containerId, memberId)
      const containers = containersOf.get(memberId)
      if (containers) containers.add(containerId)
      else containersOf.set(memberId, new Set([containerId]))
      changed()
    },
    removeMember(containerId, memberId) {
      containersOf.get(memberId)?.delete(containerId)
      changed()
    },
    directMemberOf,
    directMembersOf(containerId) {
      members ??= membersByContainer(containersOf)
      return members.get(containerId) ?? []
    },
    transitiveMemberOf(userId) {
      const known = closures.get(userId)
      if (known) return known
      const closure = containersAbove(userId, containersOf)
      closures.set(userId, closure)
      return closure
    },
  }
}

function containersAbove(id: string, containersOf: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  // The iteration of a Set includes elements added meanwhile: a breadth-first search that ends also in a cycle.
  const reached = new Set(containersOf.get(id))
  for (const each of reached) for (const container of containersOf.get(each) ?? []) reached.add(container)
  return [...reached]
}

function membersByContainer(containersOf: ReadonlyMap<string, ReadonlySet<string>>): Map<string, string[]> {
  const members = new Map<string, string[]>()
  for (const [member, containers] of containersOf) {
    for (const container of containers) {
      const known = members.get(container)
      if (known) known.push(member)
      else members.set(container, [member])
    }
  }
  return members
}

/** @throws where the container does not exist or does not take the member */
function requireMembership(
  users: Directory['users'],
  objects: Directory['objects'],
  containerId: string,
  memberId: string,
): void {
  const container = objects.get(containerId)
  if (!container) throw new Error(`directory: nothing with id ${containerId} to add ${memberId} to`)
  if (!users.has(memberId) && objects.get(memberId)?.type !== 'group') {
    throw new Error(`directory: ${memberId} is neither a user nor a group`)
  }
  if (container.groupTypes?.includes('Unified') && !users.has(memberId)) {
    throw new Error(`directory: ${container.displayName} is a Microsoft 365 group, which cannot contain groups`)
  }
}
