// Which of the servers that answered is the one whose rows count. Pure: it compares identities and remembers the past.
// After a failover that leaves the old primary running, both servers accept writes: the higher timeline decides.
import { identityKey, isSameServer, type ServerIdentity } from './identity.js'

export interface Candidate {
  readonly url: string
  readonly identity: ServerIdentity
  /** Neither a standby nor read-only. */
  readonly writable: boolean
}

/** What earlier elections leave behind. */
export interface ElectionHistory {
  /** The cluster of the first server of record. */
  readonly systemId: string | undefined
  /** The last server of record. */
  readonly current: ServerIdentity | undefined
  /** Servers of record that another one replaced, as identityKey writes them; the newest last. */
  readonly superseded: readonly string[]
}

export const NO_HISTORY: ElectionHistory = { systemId: undefined, current: undefined, superseded: [] }

/**
 * `other_cluster`: a server of another cluster; `split`: two servers accept writes, and neither is known to be newer;
 * `superseded`: every server that accepts writes was replaced by a newer one; `read_only`: none accepts writes.
 */
export type ElectionFailure = 'other_cluster' | 'split' | 'superseded' | 'read_only'

export type ElectionResult =
  | { readonly elected: Candidate, readonly history: ElectionHistory, readonly failure?: never }
  | { readonly failure: ElectionFailure, readonly candidates: readonly Candidate[] }

/** Restarts of one server count too; of more the oldest are forgotten. */
const MOST_SUPERSEDED = 1_000

/** @param candidates the servers that answered, at least one */
export function elect(candidates: readonly Candidate[], history: ElectionHistory): ElectionResult {
  const clusters = new Set(candidates.flatMap(({ identity }) => identity.systemId ?? []))
  if (history.systemId !== undefined) clusters.add(history.systemId)
  if (clusters.size > 1) return { failure: 'other_cluster', candidates } // guard: record-other-cluster
  const writable = candidates.filter((candidate) => candidate.writable)
  if (writable.length === 0) return { failure: 'read_only', candidates }
  const eligible = writable.filter(({ identity }) => !isSuperseded(identity, history)) // guard: record-superseded
  if (eligible.length === 0) return { failure: 'superseded', candidates: writable }
  const newest = eligible.map(({ identity }) => identity.timeline ?? '').reduce(higher)
  const newestOnes = eligible.filter(({ identity }) => (identity.timeline ?? '') === newest)
  const [elected] = newestOnes
  // One server under two names, a host name and its address for example, is no split.
  const isSplit = newestOnes.some(({ identity }) => elected === undefined || !isSameServer(identity, elected.identity))
  if (elected === undefined || isSplit) return { failure: 'split', candidates: newestOnes } // guard: record-split
  return { elected, history: advanced(history, elected.identity) }
}

function higher(one: string, other: string): string {
  return one > other ? one : other // guard: record-highest-timeline
}

/** A server that another one replaced is not used again, unless its timeline has grown since. */
function isSuperseded(identity: ServerIdentity, { current, superseded }: ElectionHistory): boolean {
  if (superseded.includes(identityKey(identity))) return true
  return identity.timeline !== undefined && current?.timeline !== undefined && identity.timeline < current.timeline
}

function advanced(history: ElectionHistory, identity: ServerIdentity): ElectionHistory {
  const { current } = history
  const systemId = history.systemId ?? identity.systemId
  if (current === undefined || isSameServer(current, identity)) return { ...history, systemId, current: identity }
  const superseded = [...history.superseded, identityKey(current)].slice(-MOST_SUPERSEDED)
  return { systemId, current: identity, superseded }
}
