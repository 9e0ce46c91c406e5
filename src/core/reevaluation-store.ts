// What a re-evaluation needs of the database: which users are due, how the result of one user is written, and what
// expires by staleness.
import type { EnabledAccount, EntraUser } from './account-source.js'
import type { GrantChange } from './grants.js'
import type { MappedGrants } from './pipeline/pipeline.js'

/** Which users are due. */
export interface DueQuery {
  /** Every user is re-evaluated at least once in this time, as long as `usersPerSecond` is sufficient for it. */
  readonly cycleMs: number
  /** With more users than this allows in `cycleMs`, the cycle takes longer, up to the floor. */
  readonly usersPerSecond: number
  /** However many users there are, each of them is due once in this time. */
  readonly floor: {
    /** Staff and superusers. */
    readonly privilegedMs: number
    readonly othersMs: number
  }
  /** The time between the starts of two runs. */
  readonly runEveryMs: number
  /**
   * Limits of staleness (ReevaluationPace): a user whose last attempt failed before such a limit is due once more when
   * the limit is reached, before anything expires.
   */
  readonly stalenessLimitsMs: readonly number[]
  /**
   * Only users that are late, without this run's share of the others and without those that are due because of a
   * signal (change-signals.ts): for all queries of a run but the first.
   */
  readonly overdueOnly: boolean
}

export interface DueUsers {
  /**
   * As many as it takes to re-evaluate everyone within the cycle, users that are later than that, users that were
   * missing a minute ago, failed users after a delay that doubles with each failure, from `runEveryMs` to the cycle,
   * and users that a delta query has named. The order: users with a signal take turns with the others, of whom those
   * beyond the floor come first, then staff and superusers; each in the order of their last attempts.
   */
  find(query: DueQuery): Promise<readonly EntraUser[]>
  /**
   * @returns `lagMs`: age of the oldest snapshot of a user with an active session, 0 without any; `failedUsers`: users
   * whose last attempt failed
   */
  overview(): Promise<{ readonly lagMs: number, readonly failedUsers: number }>
}

/** Identifies one snapshot of one user. */
export interface Snapshot {
  /** The database's time before the request to Graph: an older snapshot never overwrites a newer one. */
  readonly readAt: string
  readonly correlationId: string
}

/** An enabled account, and what the mapping grants for its groups. */
export interface MappedAccount extends Omit<EnabledAccount, 'kind'> {
  readonly grants: MappedGrants
  readonly requireMappedGroup: boolean
  /** Hash of the policy that the plan was made by, where it is in the database. */
  readonly policyHash?: string | undefined
}

export interface ReevaluationChange extends GrantChange {
  /** At least one of the two flags differs from before. */
  readonly flagsChanged: boolean
  /** Public ids of sessions whose id token is older than Entra ID accepts. */
  readonly revoked: readonly string[]
  /** Entra groups of the previous snapshot, which a sign-in of the last half hour took, that this one lacks. */
  readonly lostSinceSignIn: readonly string[]
  /**
   * Public ids of sessions that ended because nothing is granted and `requireMappedGroup` is set; undefined where
   * something is granted or the key is not set.
   */
  readonly refused: readonly string[] | undefined
}

/** Each method is one transaction. */
export interface ReevaluationWriter {
  /** The database's time, as text. */
  now(): Promise<string>
  /**
   * @returns undefined where the user was removed, `outdated` where a granted local group was, or where another version
   *   of the policy is in force
   */
  apply(
    user: EntraUser,
    snapshot: Snapshot,
    account: MappedAccount,
  ): Promise<ReevaluationChange | 'outdated' | undefined>
  /**
   * Ends the sessions that began before the snapshot.
   * @returns their public ids; undefined where a newer snapshot is stored
   */
  disabled(user: EntraUser, snapshot: Snapshot): Promise<readonly string[] | undefined>
  /**
   * Ends the sessions where the account was missing a minute or more before this snapshot too.
   * @returns their public ids; undefined where that is not confirmed yet
   */
  missing(user: EntraUser, snapshot: Snapshot): Promise<readonly string[] | undefined>
  /** Records failed attempts. */
  failed(users: readonly EntraUser[]): Promise<void>
}

export interface StalenessLimits {
  readonly privilegedMs: number
  /** Undefined: sessions do not expire by staleness. */
  readonly maxMs: number | undefined
  /** How much later they expire without a failed attempt since the limit; undefined: never. */
  readonly unattemptedMs: number | undefined
}

export interface StalenessExpiry {
  /** Removes flags and ends sessions of users whose last successful re-evaluation is older than the limits. */
  expire(limits: StalenessLimits): Promise<ExpiredUsers>
}

export interface ExpiredUsers {
  readonly privileges: readonly EntraUser[]
  readonly sessions: readonly (EntraUser & { readonly sessions: readonly string[] })[]
}
