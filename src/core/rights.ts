// What a person has and why, in the shape that pages and commands show.

/** An Entra group, and what the mapping calls it (groupMapping[].label). */
export interface EntraGroupName {
  readonly id: string
  readonly label: string | undefined
}

/** Why somebody has a right. Without a cause it was assigned by hand. */
export interface Reason {
  readonly entraGroups: readonly EntraGroupName[]
  readonly since: string | null
}

/** A local group that the mapping grants, and that the person does not have. */
export interface GroupNotHeld {
  readonly name: string
  /** Nobody made it yet; otherwise it exists, and the next sign-in brings it. */
  readonly missing: boolean
  readonly reason: Reason
}

export interface RightsOfPerson {
  readonly groups: readonly { readonly name: string, readonly reason: Reason }[]
  readonly staff: Reason | undefined
  readonly superuser: Reason | undefined
  readonly notHeld: readonly GroupNotHeld[]
  /** How many Entra groups the last reading had; undefined: nothing was read of this person. */
  readonly entraGroups: number | undefined
}
