// The policy in force as administrators see it, and the ports through which the use cases of the console and of the
// commands read what belongs to it: local groups, users with the reasons for their rights, snapshots, Graph.
import type { AccessRules } from './access.js'
import type { Application } from './branding.js'
import type { HeaderSource, IdentityHeaderSettings } from './identity-headers.js'
import type { Cause, MappingRow } from './mapping.js'

/** Part of the configuration in force. A reload replaces the whole object. */
export interface PolicyInForce {
  readonly groupMapping: readonly MappingRow[]
  readonly requireMappedGroup: boolean
  readonly access: AccessRules
  readonly headers: IdentityHeaderSettings
  readonly applications: readonly Pick<Application, 'host' | 'name'>[]
}

export interface LocalGroup {
  readonly name: string
  readonly permissions: readonly string[]
}

/** A local group of a user; without cause it was assigned by hand. */
export interface HeldGroup extends LocalGroup {
  readonly cause: readonly Cause[] | null
}

/** The Entra groups of one user at one moment. */
export interface EntraSnapshot {
  readonly entraGroupIds: readonly string[]
  /** ISO 8601. */
  readonly readAt: string
}

/** A user as rules and headers see them, with the reasons for the rights. */
export interface PolicyUser extends HeaderSource {
  readonly isActive: boolean
  /** The same groups as in `groups`. */
  readonly held: readonly HeldGroup[]
  readonly staffCause: readonly Cause[] | null
  readonly superuserCause: readonly Cause[] | null
  /** Undefined: Graph was never asked about this user. */
  readonly snapshot: EntraSnapshot | undefined
}

export interface PolicyUsers {
  /** @param user username, UPN, e-mail address or id @throws `user_unknown`, `user_ambiguous` */
  find(user: string): Promise<PolicyUser>
  byId(id: string): Promise<PolicyUser | undefined>
}

export interface LocalGroups {
  /** Those of these names that exist. */
  named(names: readonly string[]): Promise<readonly LocalGroup[]>
}

/** How many active users are in each of these Entra groups, by their last snapshots. */
export interface EntraGroupCounts {
  /** Groups without a user are absent. @param entraGroups object IDs in lower case */
  usersIn(entraGroups: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** The largest groups beside these. With very many users a part of them is read. */
  largestBeside(entraGroups: readonly string[], limit: number): Promise<LargestGroups>
}

export interface LargestGroups {
  readonly groups: readonly { readonly entraGroup: string, readonly users: number }[]
  /** Number of snapshots that were read: `users` counts these. */
  readonly snapshots: number
}

/** Entra ID, read for an administrator. @throws GatehouseError `graph_*`, `entra_*`, `person_not_found` */
export interface LiveDirectory {
  /** @param user UPN or object ID */
  objectId(user: string): Promise<string>
  memberships(oid: string): Promise<readonly string[]>
  /** Without groups that contain the user only through another group. */
  directMemberships(oid: string): Promise<readonly string[]>
  group(id: string): Promise<{ readonly displayName: string | null } | undefined>
}

/** What `gatehouse check` reports about a key. */
export interface PolicyFinding {
  /** Such as `access.rules[2].paths[0]`. */
  readonly path: string
  readonly code: string
  readonly message: string
  readonly remedy: string | undefined
}

export interface FilePosition {
  readonly line: number
  readonly column: number
}
