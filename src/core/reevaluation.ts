// Re-evaluation: the periodic check of users with active sessions against Entra ID and Graph. Its configuration is the
// section `sync`. Types and ports of src/reevaluation: account-source.ts has those of Graph, reevaluation-store.ts has
// those of the database.
import type { AccountSource, EntraUser } from './account-source.js'
import type { ChangeSignals } from './change-signals.js'
import type { GatehouseError } from './errors.js'
import type { MappingContext } from './pipeline/azuread-map-groups.js'
import type { DueUsers, ReevaluationChange, ReevaluationWriter, StalenessExpiry } from './reevaluation-store.js'

export interface ReevaluationPace {
  readonly intervalMs: number
  readonly privilegedStalenessMs: number
  /** Undefined: sessions do not expire by staleness. */
  readonly maxStalenessMs: number | undefined
}

/**
 * For how many users a second a cycle is planned; overdue users and users with a signal may exceed it for a while. A
 * user costs two resource units (a request for the account, and one for the groups), and Graph allows an application
 * 8,000 in ten seconds in a tenant with more than 500 users: three quarters of them leave the others to sign-ins
 * (learn.microsoft.com, "Microsoft Graph service-specific throttling limits", Identity and access service limits).
 */
export const USERS_PER_SECOND = 300

/** Values of the label `result` of the metric gatehouse_sync_people_total. */
export const REEVALUATION_OUTCOMES = [
  'unchanged',
  'changed',
  'refused',
  'revoked',
  'disabled',
  'missing',
  'deleted',
  'failed',
  'stale_privileges',
  'stale_session',
] as const
export type ReevaluationOutcome = (typeof REEVALUATION_OUTCOMES)[number]

/** What a user loses although a sign-in granted it minutes ago with the mapping that is still in force. */
export interface LostGrants {
  /** Object IDs of the Entra groups that only the sign-in received. */
  readonly entraGroups: readonly string[]
  /** Their labels. */
  readonly because: readonly string[]
  /** Local groups. */
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

export interface ChangeDetails {
  readonly correlationId: string
  /** How many Entra groups the snapshot has. */
  readonly entraGroups: number
  /** Mapped local groups that do not exist. */
  readonly missing: readonly string[]
  /** Labels of the Entra groups that grant something. */
  readonly because: readonly string[]
}

export type SessionEndReason = 'refused' | 'revoked' | 'disabled' | 'deleted' | 'stale_session'

/** Log and metrics. */
export interface ReevaluationReporter {
  changed(user: EntraUser, change: ReevaluationChange, details: ChangeDetails): void
  sessionsEnded(user: EntraUser, reason: SessionEndReason, sessions: number, correlationId?: string): void
  /** Usually a group with hidden membership, which an application reads only with Member.Read.Hidden. */
  signInGrantsLost(user: EntraUser, lost: LostGrants, correlationId: string): void
  privilegesExpired(user: EntraUser): void
  /** These users could not be re-evaluated: once for each error code, until recovery. */
  usersFailed(error: GatehouseError, users: number, correlationId: string): void
  /** The run itself failed: once for each error code, until recovery. */
  runFailed(error: unknown): void
  recovered(): void
  counted(outcome: ReevaluationOutcome, users: number): void
  groupMissing(name: string, username: string): void
}

/** At most one replica is the leader; another one can be when the leader ends. */
export interface Leadership {
  /**
   * @returns whether this replica is the leader
   * @throws GatehouseError `sync_lock_unavailable` where the state of the lock is unknown
   */
  held(): Promise<boolean>
  /** Another replica can become the leader. */
  release(): Promise<void>
}

export interface MappingInForce {
  readonly settings: MappingContext['settings']
  readonly requireMappedGroup: boolean
  /** Undefined: the policy is the file's. */
  readonly policyHash?: string | undefined
}

export interface ReevaluationDeps {
  readonly source: AccountSource
  readonly dueUsers: DueUsers
  readonly writer: ReevaluationWriter
  readonly expiry: StalenessExpiry
  readonly leadership: Leadership
  readonly pace: ReevaluationPace
  /** Without a policy no user is re-evaluated. @throws GatehouseError `policy_missing`, `policy_unusable` */
  readonly requirePolicy?: (() => void) | undefined
  /** Read for each user, so that a reload takes effect. */
  readonly mapping: () => MappingInForce
  /** Another version of the policy may be in force than here. */
  readonly catchUp?: (() => Promise<void>) | undefined
  readonly lookups: MappingContext['lookups']
  readonly report: ReevaluationReporter
  /** Undefined: users are due by time alone. */
  readonly changes?: ChangeSignals
  /** Default USERS_PER_SECOND. */
  readonly usersPerSecond?: number
  /** Nothing expires for so long after the start of the process: the network may be slower than the process. */
  readonly graceMs?: number
  /** Milliseconds, monotonic. */
  readonly clock?: () => number
}
