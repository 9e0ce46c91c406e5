// What a replica remembers of the history of the database: which of its heartbeats the server of record has confirmed,
// and what was taken away. A server that has fewer of these heartbeats has lost the part of the history after them.
import { createTombstones, type Tombstones } from './tombstones.js'

export interface History {
  readonly tombstones: Tombstones
  /** The next heartbeat's number, which counts those of this process. It is sent now. */
  next(): number
  /** The server of record has confirmed this heartbeat. */
  confirmed(count: number): void
  /** The highest number that was confirmed; 0: none yet. */
  lastConfirmed(): number
  /** @param count what the row of this replica says on a server; undefined: there is no row */
  assess(count: number | undefined): Assessment
}

/** `since`: what was received before this moment is in the server's history, monotonic milliseconds. */
export type Assessment =
  /** The server has every heartbeat that was confirmed. What was committed after the last one may be lost. */
  | { readonly lost: false, readonly since: number }
  /** `isKnown`: the tombstones include everything that was taken away in the part that is lost. */
  | { readonly lost: true, readonly since: number, readonly heartbeats: number, readonly isKnown: boolean }

export interface HistoryOptions {
  readonly tombstones?: Tombstones
  /** Monotonic milliseconds. */
  readonly now?: () => number
  /** Milliseconds that go on while the machine is suspended. */
  readonly clock?: () => number
}

/** Times are remembered for the latest heartbeats: those of more than an hour. */
const REMEMBERED = 4_000
/** Rows of silent replicas are deleted after a day (store/sweep.ts). */
const SWEPT_AFTER_MS = 12 * 3_600_000

export function createHistory(
  { tombstones = createTombstones(), now = () => performance.now(), clock = Date.now }: HistoryOptions = {},
): History {
  const sentAt = new Map<number, number>()
  let sent = 0
  let last = 0
  let lastAt = clock()
  return {
    tombstones,
    next() {
      sentAt.set(++sent, now())
      sentAt.delete(sent - REMEMBERED)
      return sent
    },
    confirmed(count) {
      last = Math.max(last, count)
      lastAt = clock()
    },
    lastConfirmed: () => last,
    assess(count) {
      // A change that the server has not was committed after this heartbeat, and so received after it was sent.
      const since = sentAt.get(count ?? 0) ?? -Infinity // guard: lost-since
      if (last === 0 || (count ?? 0) >= last) return { lost: false, since }
      if (count === undefined && clock() - lastAt > SWEPT_AFTER_MS) return { lost: false, since } // guard: lost-swept
      return { lost: true, since, heartbeats: last - (count ?? 0), isKnown: tombstones.reachBackTo(since) }
    },
  }
}
