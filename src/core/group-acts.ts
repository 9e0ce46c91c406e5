// What acts on local groups read and change, in the transaction of the act (acts.ts).
import type { GroupView } from './groups.js'

/** A local group, locked. */
export interface GroupTarget extends GroupView {
  readonly id: string
}

export interface GroupsUnit {
  /** Locks the names of all groups, then the group. Undefined: there is none. */
  target(name: string): Promise<GroupTarget | undefined>
  /** A group whose name differs in case, spaces, `_` and `-` alone. */
  similar(name: string): Promise<string | undefined>
  /** Locks the names of all groups. In the order of names. */
  all(): Promise<readonly GroupTarget[]>
  /** @returns the id; undefined: there is a group with this name */
  add(name: string, description: string): Promise<string | undefined>
  /** Memberships and permissions stay with the group. @returns false: there is a group with this name */
  rename(id: string, name: string): Promise<boolean>
  describe(id: string, description: string): Promise<void>
  /** Memberships and permissions go with it. */
  remove(id: string): Promise<void>
  /** @returns false: the group had it already */
  grant(id: string, permission: string): Promise<boolean>
  /** @returns false: the group did not have it */
  revoke(id: string, permission: string): Promise<boolean>
}
