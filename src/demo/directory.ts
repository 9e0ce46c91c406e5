// The data behind the simulated tenant: users, the objects they can be members of, and who is in what. Pure and in
// memory; anything may change while a simulator runs on it, as an administrator would in the portal.

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
  /** What the optional claim `xms_edov` says of the e-mail address; Entra writes `true` or the string "1". */
  edov?: boolean | '1'
  signInSessionsValidFromDateTime: string
  /** A guest's address in the home tenant. */
  externalEmail?: string
  /** Which list of memberships Graph gives out: everything (default), groups alone by a cast, or none; else 403. */
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
  /** Of a Microsoft 365 group; Entra makes them public unless told otherwise. */
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
  /**
   * Everything the user is in, directly or through groups: nearest first, then in the order of joining, each id once.
   */
  transitiveMemberOf(userId: string): string[]
  /** By object id or user principal name, either in any case. */
  findUser(idOrUpn: string): DirectoryUser | undefined
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createDirectory(tenantId: string): Directory {
  const users = new Map<string, DirectoryUser>()
  const objects = new Map<string, DirectoryObject>()
  const containersOf = new Map<string, Set<string>>()
  const closures = new Map<string, string[]>()

  const requireNewId = (id: string) => {
    if (!guid.test(id)) throw new Error(`directory: ${id} is no object id (a GUID in lower case)`)
    if (users.has(id) || objects.has(id)) throw new Error(`directory: ${id} is taken`)
  }
  const directMemberOf = (userId: string) => [...containersOf.get(userId) ?? []]
  const forget = (id: string) => {
    containersOf.delete(id)
    for (const containers of containersOf.values()) containers.delete(id)
    closures.clear()
  }

  return {
    tenantId,
    users,
    objects,
    addUser(user) {
      requireNewId(user.id)
      users.set(user.id, user)
      return user
    },
    addObject(object) {
      requireNewId(object.id)
      objects.set(object.id, object)
      return object
    },
    removeUser(id) {
      users.delete(id)
      forget(id)
    },
    removeObject(id) {
      objects.delete(id)
      forget(id)
    },
    addMember(containerId, memberId) {
      const container = objects.get(containerId)
      if (!container) throw new Error(`directory: nothing with id ${containerId} to add ${memberId} to`)
      if (!users.has(memberId) && objects.get(memberId)?.type !== 'group') {
        throw new Error(`directory: ${memberId} is neither a user nor a group`)
      }
      if (container.groupTypes?.includes('Unified') && !users.has(memberId)) {
        throw new Error(`directory: ${container.displayName} is a Microsoft 365 group, which cannot contain groups`)
      }
      const containers = containersOf.get(memberId)
      if (containers) containers.add(containerId)
      else containersOf.set(memberId, new Set([containerId]))
      closures.clear()
    },
    removeMember(containerId, memberId) {
      containersOf.get(memberId)?.delete(containerId)
      closures.clear()
    },
    directMemberOf,
    transitiveMemberOf(userId) {
      const known = closures.get(userId)
      if (known) return known
      // A Set being walked also visits what is added during the walk: a breadth-first search that cycles cannot trap.
      const reached = new Set(directMemberOf(userId))
      for (const id of reached) for (const container of containersOf.get(id) ?? []) reached.add(container)
      const closure = [...reached]
      closures.set(userId, closure)
      return closure
    },
    findUser(idOrUpn) {
      const wanted = idOrUpn.toLowerCase()
      const byId = users.get(wanted)
      if (byId || guid.test(wanted)) return byId
      return [...users.values()].find((user) => user.userPrincipalName.toLowerCase() === wanted)
    },
  }
}
