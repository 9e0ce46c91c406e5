// Change signals: users of whom a delta query of Graph reports that something may have changed. A signal makes a user
// due for re-evaluation earlier, and does nothing else: what the user has is decided by a complete read of the account.
import type { GatehouseError } from './errors.js'

/** Deltas of all users of the tenant, and of the mapped groups with the groups inside them. */
export type DeltaKind = 'users' | 'groups'

/** One chain of delta requests: each answer has the link of the next one. */
export interface DeltaChain {
  /** A UUID. */
  readonly id: string
  readonly kind: DeltaKind
  /** The groups of the chain, at most 50; empty for `users`. */
  readonly groupIds: readonly string[]
  /** The groups that are direct members of these. */
  readonly nested: Readonly<Record<string, readonly string[]>>
  /** The same before the chain began again, until it was read completely. */
  readonly former: Readonly<Record<string, readonly string[]>>
  /** Groups that became members, and that no chain has yet. */
  readonly added: readonly string[]
  /** Absolute address of the next request. */
  readonly link: string
  /** False until the first complete read, which lists what exists and not what changed. */
  readonly following: boolean
  /** The groups were added while their parent was followed: their first read names users, too. */
  readonly announced: boolean
  /** Pages since the last complete read. */
  readonly pages: number
}

export interface ChangeQuery {
  /** Those that were read longest ago first. */
  readonly chains: readonly DeltaChain[]
  /** Object IDs of the mapped groups, lower case. */
  readonly mapped: readonly string[]
  readonly kinds: ReadonlySet<DeltaKind>
  /** Ids of chains that are left out. */
  readonly paused: ReadonlySet<string>
  /** Milliseconds: no request takes longer. */
  readonly budgetMs: number
}

/** What one round of delta requests returned. */
export interface ChangeRound {
  /** All chains as they are now. */
  readonly chains: readonly DeltaChain[]
  /** Ids of the chains of which at least one page was read. */
  readonly read: ReadonlySet<string>
  /** Object IDs of accounts. */
  readonly users: ReadonlySet<string>
  /** Object IDs of groups: everyone whose snapshot contains one of them is meant. */
  readonly groups: ReadonlySet<string>
  readonly failures: ReadonlyMap<DeltaKind, GatehouseError>
  /** Ids of chains that failed while Graph answered. */
  readonly failed: ReadonlySet<string>
  /** Chains that begin with a full read again because Graph refused their link. */
  readonly restarted: number
  /** Groups above the limit of groups that are followed. */
  readonly notFollowed: number
  /** Kinds of which every chain was read to its end. */
  readonly complete: ReadonlySet<DeltaKind>
}

export interface ChangeSource {
  /** Identifies tenant, registration and Graph: links of another scope are not used. */
  readonly scope: string
  /** Never throws for what Graph answers: failures are in the round. */
  read(query: ChangeQuery, correlationId: string): Promise<ChangeRound>
}

/** Log and metrics. */
export interface SignalReporter {
  /** Users with active sessions of whom something may have changed. */
  signalled(users: number): void
  /** Once for each kind and code, until recovery. */
  deltaFailed(kind: DeltaKind, error: GatehouseError): void
  deltaRecovered(kind: DeltaKind): void
  /** Graph refused links: their chains begin with a full read. */
  deltaRestarted(chains: number): void
  /** Groups above the limit; 0: all are followed again. */
  groupsNotFollowed(groups: number): void
}

export interface ChangeSignals {
  readonly source: ChangeSource
  readonly store: SignalStore
  /** Object IDs of the mapped groups, lower case; read for each round, so that a reload takes effect. */
  readonly mapped: () => readonly string[]
  readonly report: SignalReporter
}

/** Keeps the links, so that another leader continues where this one ended, and the signals. */
export interface SignalStore {
  /** In the order of their last reads, oldest first. */
  chains(scope: string): Promise<readonly DeltaChain[]>
  /**
   * Stores the signals, and the chains in the last transaction, so that no link is stored without the signals before
   * it. What fails before is repeated by the next round, from the links before.
   * @returns how many users with active sessions were signalled
   */
  record(scope: string, round: ChangeRound): Promise<number>
}
