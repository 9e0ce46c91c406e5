// People with live sessions, asked about without them: what Entra ID and Graph say, what becomes of it, and the ports that the
// re-evaluation (`sync`) stands on. The mapping is applied by the pipeline's own step.
import type { GatehouseError } from './errors.js'
import type { MappedGrants } from './pipeline/pipeline.js'

/** What is known of an account. */
export type Standing =
  | { readonly kind: 'enabled', readonly groupIds: readonly string[], /** ISO 8601: id tokens from before it are void; null where Graph names none. */ readonly sessionsValidFrom: string | null }
  | { readonly kind: 'disabled' }
  /** Graph knows no such account (now). */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed', readonly error: GatehouseError }

export interface AccountSource {
  /** How many may be asked about in one request. */
  readonly batch: number
  /** @param oids object IDs, at most `batch` @returns one standing for each @throws GatehouseError `graph_*`, `entra_*` where nothing can be said of anybody */
  read(oids: readonly string[], correlationId: string): Promise<ReadonlyMap<string, Standing>>
}

export interface SyncPerson {
  readonly userId: string
  readonly username: string
  readonly oid: string
}

/** One reading of one person. */
export interface SyncReading {
  /** The database's time before Graph was asked: an older reading never overwrites a newer one. */
  readonly readAt: string
  readonly correlationId: string
}

export interface SyncChange {
  readonly groups: readonly string[]
  readonly groupsAdded: readonly string[]
  readonly groupsRemoved: readonly string[]
  readonly staff: boolean
  readonly superuser: boolean
  /** A flag is another one than before. */
  readonly flagsChanged: boolean
  /** A newer reading stands. */
  readonly superseded: boolean
  /** Public ids of sessions whose id token is older than Entra ID accepts. */
  readonly revoked: readonly string[]
  /** Nothing is granted and `requireMappedGroup` is set: sessions ended. */
  readonly refused: boolean
}

export interface SyncStore {
  /** The database's time, as text. */
  now(): Promise<string>
  /**
   * Who is to be asked about next, longest ago first: as many as keep everybody within `spanMs` when asked again every `everyMs`,
   * whoever is later than that, and whoever was missing a minute ago.
   */
  due(pace: { readonly spanMs: number, readonly everyMs: number }): Promise<readonly SyncPerson[]>
  /** One transaction; undefined where the user is gone. */
  apply(person: SyncPerson, reading: SyncReading, standing: { readonly grants: MappedGrants, readonly groupIds: readonly string[], readonly sessionsValidFrom: string | null, readonly requireMappedGroup: boolean }): Promise<SyncChange | undefined>
  /** Ends the sessions that began before the reading. @returns their public ids */
  disabled(person: SyncPerson, reading: SyncReading): Promise<readonly string[]>
  /** The second time, a minute after the first or later, ends sessions. @returns their public ids; undefined where it is too early to say */
  missing(person: SyncPerson, reading: SyncReading): Promise<readonly string[] | undefined>
  /** Nothing could be said of them: they are asked about again when it is their turn. */
  failed(people: readonly SyncPerson[]): Promise<void>
  /** Takes from whoever was read too long ago what may not be believed any longer. */
  expire(staleness: { readonly privilegedMs: number, readonly maxMs: number | undefined }): Promise<{ readonly privileges: readonly SyncPerson[], readonly sessions: readonly SyncPerson[] }>
  /** Age of the oldest reading of somebody with a live session, in milliseconds; 0 where there is nobody. */
  lagMs(): Promise<number>
}

/** One replica at a time; another one where it dies. */
export interface Leadership {
  held(): Promise<boolean>
}
