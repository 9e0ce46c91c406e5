// A deployed version of the policy is applied to everybody with an active session, from their stored snapshots: Graph
// is not asked. Users who lose something come first, in a pass of their own; the second pass is about everybody else.
import type { Acting } from './acts.js'
import { changeOfRights, isChange } from './explain.js'
import type { GrantChange } from './grants.js'
import type { Cause, GroupMapping } from './mapping.js'
import { azureadMapGroups, type MappingContext } from './pipeline/azuread-map-groups.js'
import type { MappedGrants } from './pipeline/pipeline.js'
import type { HeldGroup } from './policy.js'

/** `replaced`: another version came into force before the end. */
export type ApplicationState = 'running' | 'done' | 'replaced'
export type ApplicationPass = 'losses' | 'rest'

/** How far it is. */
export interface ApplicationProgress {
  readonly pass: ApplicationPass
  /** Users of this pass who were looked at. */
  readonly done: number
  /** Users who gained a right, and who lost one: both may be true of a user. */
  readonly gains: number
  readonly losses: number
  /** Of the users of this pass: the snapshot is older than sync.maxStaleness, so that it only takes away. */
  readonly tooOld: number
  /** Users who could not be mapped: their rows were locked. */
  readonly failed: number
}

export interface PolicyApplication extends ApplicationProgress {
  readonly version: number
  readonly state: ApplicationState
  /** About how many users have an active session. */
  readonly total: number
  /** As in the audit record. */
  readonly actor: string
  /** The process that does it: of a replica its name; null: none at this moment. */
  readonly runner: string | null
  /** ISO 8601. */
  readonly startedAt: string
  /** Null: it goes on. */
  readonly endedAt: string | null
}

/** Where a run goes on: after this user, in the order of their ids. */
export interface ApplicationPosition extends ApplicationProgress {
  readonly after: string
}

export interface ClaimedApplication extends ApplicationPosition {
  readonly version: number
  readonly total: number
  readonly actor: string
  readonly correlationId: string | undefined
}

/** A user with an active session, as stored. */
export interface StoredPerson {
  readonly userId: string
  readonly username: string
  readonly oid: string
  /** Of the snapshot, those that the mapping names. */
  readonly entraGroupIds: readonly string[]
  /** Of the snapshot, ISO 8601 with microseconds. */
  readonly readAt: string
  readonly isTooOld: boolean
  readonly held: readonly Pick<HeldGroup, 'name' | 'cause'>[]
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly staffCause: readonly Cause[] | null
  readonly superuserCause: readonly Cause[] | null
}

/** What of a version is applied. */
export interface AppliedPolicy {
  readonly mapping: GroupMapping
  /** Object IDs that the mapping names, and local groups that it grants. */
  readonly entraGroups: readonly string[]
  readonly localGroups: readonly string[]
  readonly requireMappedGroup: boolean
}

export interface ApplyOptions {
  readonly application: ClaimedApplication
  readonly requireMappedGroup: boolean
  /** What is granted to the user as they are stored by then. */
  readonly plan: (person: StoredPerson) => Promise<MappedGrants>
}

/** Keeps the application of each version, and applies one to a user. */
export interface PolicyApplications {
  /** Undefined: this version was never to be applied. */
  find(version: number): Promise<PolicyApplication | undefined>
  /**
   * Of the version in force, from its beginning; one that is under way goes on.
   * @returns the version; undefined: none is in force
   */
  begin(acting: Pick<Acting, 'actor' | 'correlationId'>): Promise<number | undefined>
  /** The version in force, where it is to be applied and no process does it. */
  waiting(): Promise<number | undefined>
  /** @returns undefined: there is nothing to do, or another process does it */
  claim(version: number, runner: string): Promise<ClaimedApplication | undefined>
  /** Users with an active session and a snapshot. @param entraGroups of their snapshots, those that matter */
  page(after: string, limit: number, entraGroups: readonly string[]): Promise<PersonPage>
  /**
   * One transaction. The stored snapshot stays as it is.
   * @returns `replaced`: another version is in force; undefined: there is no snapshot any more
   * @throws where a granted local group was removed, or the user's row is locked for long
   */
  apply(person: StoredPerson, options: ApplyOptions): Promise<GrantChange | 'replaced' | undefined>
  /** @returns false: another process goes on with it */
  progress(runner: string, position: ApplicationPosition): Promise<boolean>
  /** With a row of the audit. */
  end(runner: string, state: 'done' | 'replaced'): Promise<void>
  /** Another process may go on immediately. */
  release(runner: string): Promise<void>
}

export interface PersonPage {
  readonly people: readonly StoredPerson[]
  /** Where the next page begins; undefined: this is the last one. */
  readonly next: string | undefined
}

/** The same plan as a re-evaluation's; from a snapshot that is too old only what the user has. */
export async function grantsFor(
  person: StoredPerson,
  mapping: GroupMapping,
  lookups: MappingContext['lookups'],
): Promise<MappedGrants> {
  const { grants } = await azureadMapGroups({ groupIds: person.entraGroupIds, settings: { mapping }, lookups })
  return person.isTooOld ? onlyHeld(grants, person) : grants // guard: policy-apply-too-old
}

function onlyHeld(grants: MappedGrants, { held, isStaff, isSuperuser }: StoredPerson): MappedGrants {
  const names = new Set(held.map(({ name }) => name))
  return {
    ...grants,
    groups: grants.groups.filter(({ name }) => names.has(name)),
    staff: isStaff ? grants.staff : [],
    superuser: isSuperuser ? grants.superuser : [],
  }
}

export interface Effect {
  /** A right, or the sessions of a user to whom nothing is granted. */
  readonly loses: boolean
  /** Rights, or the reasons for them. */
  readonly differs: boolean
}

export function effectOf(person: StoredPerson, grants: MappedGrants, requireMappedGroup: boolean): Effect {
  const [staff, superuser] = [grants.staff.length > 0, grants.superuser.length > 0]
  const groups = grants.groups.map(({ name }) => name)
  const before = {
    groups: person.held.map(({ name }) => name),
    staff: person.isStaff,
    superuser: person.isSuperuser,
  }
  const change = changeOfRights(before, { groups, staff, superuser })
  const isRefused = requireMappedGroup && groups.length === 0 && !staff && !superuser
  return {
    loses: isRefused || change.lost.length > 0 || change.staff < 0 || change.superuser < 0,
    differs: isRefused || isChange(change) || !hasSameCauses(person, grants),
  }
}

/** Where the rights are the same. What was given by hand becomes granted, except by a snapshot that is too old. */
function hasSameCauses(person: StoredPerson, { groups, staff, superuser }: MappedGrants): boolean {
  const causes = new Map(person.held.map(({ name, cause }) => [name, cause]))
  return isSame(person.staffCause ?? [], staff) && isSame(person.superuserCause ?? [], superuser) &&
    groups.every(({ name, causes: granted }) => {
      const cause = causes.get(name) ?? null
      return cause === null ? person.isTooOld : isSame(cause, granted)
    })
}

function isSame(one: readonly Cause[], other: readonly Cause[]): boolean {
  return one.length === other.length &&
    one.every(({ row, entraGroup }, index) => row === other[index]?.row && entraGroup === other[index]?.entraGroup)
}
