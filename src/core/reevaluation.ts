// People with live sessions, asked about without them: what Entra ID and Graph say, what becomes of it, and the ports
// that the re-evaluation (`sync`) stands on. The mapping is applied by the pipeline's own step.
import type { GatehouseError } from './errors.js'
import type { MappedGrants } from './pipeline/pipeline.js'

/** What is known of an account. */
export type Standing =
  | EnabledAccount
  | { readonly kind: 'disabled' }
  /** Graph knows no such account (now). */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed', readonly error: GatehouseError }

export interface EnabledAccount {
  readonly kind: 'enabled'
  readonly groupIds: readonly string[]
  /** ISO 8601: id tokens from before it are void; null where Graph names none. */
  readonly sessionsValidFrom: string | null
  /** Undefined: Graph does not say. */
  readonly upn?: string | undefined
}

export interface AccountSource {
  /** How many may be asked about in one request. */
  readonly batch: number
  /**
   * @param oids object IDs, at most `batch` @returns one standing for each @throws GatehouseError `graph_*`, `entra_*`
   * where nothing can be said of anybody
   */
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
  /** Entra groups that a sign-in of the last half hour read, as the reading before this one, and this one lacks. */
  readonly lostSinceSignIn: readonly string[]
  /**
   * Public ids of sessions that ended because nothing is granted and `requireMappedGroup` is set; undefined where that
   * is not so.
   */
  readonly refused: readonly string[] | undefined
}

/** An enabled account, and what the mapping makes of its groups. */
export interface MappedStanding extends Omit<EnabledAccount, 'kind'> {
  readonly grants: MappedGrants
  readonly requireMappedGroup: boolean
}

/** Whose turn it is. */
export interface SyncDue {
  /** Everybody is asked about once in this time. */
  readonly spanMs: number
  /** How long a turn takes. */
  readonly everyMs: number
  /**
   * After these times nothing is believed any longer: whoever was asked about in vain is asked about once more then,
   * before.
   */
  readonly staleMs: readonly number[]
  /** Nobody but those who are late: the later questions of one turn. */
  readonly late: boolean
}

/** How long what was heard last is believed. */
export interface Staleness {
  readonly privilegedMs: number
  /** Undefined: sessions outlive any silence. */
  readonly maxMs: number | undefined
  /** How much longer for those who were not asked about since; undefined: for ever. */
  readonly unaskedMs: number | undefined
}

export interface SyncStore {
  /** The database's time, as text. */
  now(): Promise<string>
  /**
   * Who is to be asked about next, longest ago first: as many as keep everybody within `spanMs` when asked again every
   * `everyMs`, whoever is later than that, whoever was missing a minute ago, and whoever failed: after one turn, then
   * two, four and so on.
   */
  due(due: SyncDue): Promise<readonly SyncPerson[]>
  /** One transaction; undefined where the user is gone, `outdated` where a group is that was granted. */
  apply(person: SyncPerson, reading: SyncReading, mapped: MappedStanding): Promise<SyncChange | 'outdated' | undefined>
  /**
   * Ends the sessions that began before the reading. @returns their public ids; undefined where a newer reading stands
   */
  disabled(person: SyncPerson, reading: SyncReading): Promise<readonly string[] | undefined>
  /**
   * The second time, a minute after the first or later, ends sessions. @returns their public ids; undefined where it is
   * too early to say
   */
  missing(person: SyncPerson, reading: SyncReading): Promise<readonly string[] | undefined>
  /** They were asked about in vain. */
  failed(people: readonly SyncPerson[]): Promise<void>
  /**
   * Takes what may not be believed any longer from whoever was asked about in vain since then, or not at all for too
   * long.
   */
  expire(
    staleness: Staleness,
  ): Promise<
    {
      readonly privileges: readonly SyncPerson[]
      readonly sessions: readonly (SyncPerson & { readonly sessions: readonly string[] })[]
    }
  >
  /**
   * @returns `lagMs`: age of the oldest reading of somebody with a live session, 0 where there is nobody; `unanswered`:
   * people whose last question was in vain
   */
  overview(): Promise<{ readonly lagMs: number, readonly unanswered: number }>
}

/** One replica at a time; another one where it dies. */
export interface Leadership {
  /** @throws GatehouseError `sync_lock_unavailable` where nobody can say */
  held(): Promise<boolean>
  /** Another one may have it. */
  release(): Promise<void>
}
