// What the re-evaluation stands on, and whom it tells.
import type { GatehouseError } from '../core/errors.js'
import type { MappingContext } from '../core/pipeline/azuread-map-groups.js'
import type { AccountSource, Leadership, SyncChange, SyncPerson, SyncStore } from '../core/reevaluation.js'

export interface SyncPace {
  readonly intervalMs: number
  readonly privilegedStalenessMs: number
  /** Undefined: sessions outlive any silence. */
  readonly maxStalenessMs: number | undefined
}

export const SYNC_RESULTS = [
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
export type SyncResult = (typeof SYNC_RESULTS)[number]

export interface TakenBack {
  /** Object IDs of Entra groups that only the sign-in saw. */
  readonly entraGroups: readonly string[]
  /** The same, by their labels. */
  readonly because: readonly string[]
  /** Local groups. */
  readonly groups: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
}

export interface SyncFacts {
  readonly correlationId: string
  readonly entraGroups: number
  readonly missing: readonly string[]
  /** The Entra groups that something is granted for, by their labels. */
  readonly because: readonly string[]
}

/** What an operator hears of it. */
export interface SyncReporter {
  changed(person: SyncPerson, change: SyncChange, facts: SyncFacts): void
  ended(
    person: SyncPerson,
    why: 'refused' | 'revoked' | 'disabled' | 'deleted' | 'stale_session',
    sessions: number,
    correlationId?: string,
  ): void
  /** A sign-in granted this minutes ago by the mapping that is still in force. */
  takenBack(person: SyncPerson, taken: TakenBack, correlationId: string): void
  privilegesDropped(person: SyncPerson): void
  /** Nothing could be said of these people: once for each cause, until it is over. */
  failing(error: GatehouseError, people: number, correlationId: string): void
  /** The turn itself broke: once for each cause, until it is over. */
  broken(error: unknown): void
  recovered(): void
  counted(result: SyncResult, people: number): void
  groupMissing(name: string, username: string): void
}

export interface SyncDeps {
  readonly source: AccountSource
  readonly store: SyncStore
  readonly leadership: Leadership
  readonly pace: SyncPace
  /** Read at every pass, so that a reload takes effect. */
  readonly mapping: () => { readonly settings: MappingContext['settings'], readonly requireMappedGroup: boolean }
  readonly lookups: MappingContext['lookups']
  readonly report: SyncReporter
  /** How long after a start nothing is taken from anybody: the network may be slower than the process. */
  readonly graceMs?: number
  /** Milliseconds, monotonic. */
  readonly clock?: () => number
}
