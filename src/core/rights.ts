// The rights of a user and the reasons for them, as pages and commands show them.

/** An Entra group, and its label in the mapping (groupMapping[].label). */
export interface EntraGroupName {
  readonly id: string
  readonly label: string | undefined
}

/** Why a user has a right. Without Entra groups the right was assigned by an administrator. */
export interface GrantReason {
  readonly entraGroups: readonly EntraGroupName[]
  readonly since: string | null
  /** When the right ends; null or absent: it has no end. */
  readonly until?: string | null
}

/** A local group that the mapping grants, but that the user is not a member of. */
export interface GroupNotHeld {
  readonly name: string
  /** The group does not exist. Otherwise the next sign-in makes the user a member. */
  readonly missing: boolean
  readonly reason: GrantReason
}

export interface UserRights {
  readonly groups: readonly { readonly name: string, readonly reason: GrantReason }[]
  readonly staff: GrantReason | undefined
  readonly superuser: GrantReason | undefined
  readonly notHeld: readonly GroupNotHeld[]
  /** Number of Entra groups in the last snapshot; undefined: there is no snapshot of this user. */
  readonly entraGroups: number | undefined
}
