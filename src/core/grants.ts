// How the local groups and flags of one user differ from before.

export interface GrantChange {
  readonly groups: readonly string[]
  readonly groupsAdded: readonly string[]
  readonly groupsRemoved: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
  /** A newer snapshot of this user is stored: its grants stay in force, and these are they. */
  readonly superseded: boolean
}
