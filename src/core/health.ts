// The state of an installation for administrators, part by part: what each part says, and the ports that read them.
import type { ExportHealth } from './audit-export.js'
import type { SealState } from './audit-seals.js'
import type { ErrorCode } from './errors.js'

/** A part that does not answer says so, and keeps no other part from being shown. */
export type Part<T> =
  | { readonly state: 'read', readonly value: T }
  /** `timeout`: no answer within its time. */
  | { readonly state: 'unreachable', readonly code: ErrorCode | 'timeout' }

export interface ReplicaHealth {
  /** Host and port. */
  readonly name: string
  readonly heartbeatAt: string
  /** By the database's clock. */
  readonly silentSeconds: number
  /** The first characters of the hash of its configuration. */
  readonly config: string
  /** Whether it runs the configuration of the replica that answers. */
  readonly isSameConfig: boolean
  /** Whether notifications of changes reach it. */
  readonly listens: boolean
}

export interface Standby {
  readonly name: string
  readonly state: string | null
  readonly syncState: string | null
  /** Behind the primary; null: none, or not shown to this role. */
  readonly lagSeconds: number | null
}

export interface DatabaseServers {
  readonly isEmbedded: boolean
  readonly hosts: readonly {
    readonly host: string
    readonly state: 'current' | 'accepts writes' | 'read-only' | 'unreachable'
    /** Hexadecimal; null: not shown to this role. */
    readonly timeline: string | null
  }[]
  /** Whether the database's changes reach this replica, as /readyz says it. */
  readonly changes: string
}

export interface DatabaseState {
  readonly version: string
  readonly bytes: number
  readonly standbys: readonly Standby[]
  readonly synchronousStandbyNames: string
  /** Name of the last migration that is applied; null: one that this version does not know. */
  readonly schema: string | null
  /** Migrations of this version that are not applied. */
  readonly pending: readonly string[]
}

export interface Reach {
  readonly state: 'unknown' | 'ok' | 'failing'
  readonly since: string | null
  /** Of the last good answer to this replica. */
  readonly lastSuccessAt: string | null
}

export interface EntraHealth {
  readonly entra: Reach
  readonly graph: Reach
  readonly throttledUntil: string | null
  readonly credential: 'secret' | 'certificate' | 'federated'
  /** Null: not known, because Gatehouse may not read its registration. */
  readonly credentialEndsAt: string | null
}

export interface SyncHealth {
  readonly isConfigured: boolean
  /** Whether the replica that answers re-evaluates. */
  readonly isLeader: boolean
  readonly failing: string | null
  /** Age of the oldest snapshot of a user with an active session. */
  readonly lagSeconds: number
  /** The last run of this replica; null: it has not been the leader. */
  readonly lastRun: { readonly at: string, readonly processed: number, readonly failed: number } | null
}

export interface ConfigFinding {
  readonly path: string
  readonly code: string
  /** file:line:column */
  readonly place: string
  readonly message: string
  readonly remedy: string | null
}

export interface ConfigHealth {
  readonly hash: string
  /** A changed file is refused: since when, and why. */
  readonly refused: { readonly since: string, readonly reason: string } | null
  /** Null: a worker does not know them. */
  readonly findings: readonly ConfigFinding[] | null
}

export interface KeyView {
  readonly kid: string
  readonly state: 'next' | 'signing' | 'retired'
  readonly createdAt: string
  readonly activeAt: string
  readonly retiredAt: string | null
}

/** What is asked, each of which may fail or take any time. */
export interface HealthReader {
  ready(): Promise<boolean>
  replicas(): Promise<readonly ReplicaHealth[]>
  database(): Promise<DatabaseState>
  keys(): Promise<readonly KeyView[]>
  seals(): Promise<SealState>
  auditExport(): Promise<ExportHealth>
}

/** What this replica knows without asking. */
export interface KnownHealth {
  /** Of Gatehouse. */
  readonly version: string
  servers(): DatabaseServers
  entra(): EntraHealth
  sync(): SyncHealth
  config(): ConfigHealth
}
