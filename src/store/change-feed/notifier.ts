// Which replicas are alive, and which of them is the notifier: the one with the lowest name among those that listen.
// Where none does, it is the one with the lowest name of all, because replicas of release 0.2 may listen nevertheless.
// The notifier reads the outbox most often, and notifies the others. The one with the lowest name of all sweeps the
// outbox. Two at a time do no harm, and while there is none the others read at their own pace.
import type { ReplicaRow } from './replica-rows.js'

export interface LiveReplicas {
  /** @param rows of all replicas @returns those of others that have sent a heartbeat since the last call */
  update(rows: readonly ReplicaRow[]): readonly ReplicaRow[]
  /** @param listens whether notifications reach this replica */
  isNotifier(listens: boolean): boolean
  isSweeper(): boolean
}

/** Monotonic milliseconds. */
interface Seen {
  readonly row: ReplicaRow
  /** When its number of heartbeats was found to have grown; undefined: not yet. */
  readonly grewAt: number | undefined
}

/** A replica that is silent for this time is considered stopped. No clock but that of this process is asked. */
const SILENT_MS = 3_000

export function createLiveReplicas(self: string, now: () => number = () => performance.now()): LiveReplicas {
  let others = new Map<string, Seen>()
  const isFirst = (counts: (other: Seen) => boolean): boolean => {
    const at = now()
    return [...others.values()].every((other) => !counts(other) || other.row.replica > self || !isAlive(other, at))
  }
  return {
    update(rows) {
      const at = now()
      const next = new Map<string, Seen>()
      for (const row of rows) {
        if (row.replica === self) continue
        const before = others.get(row.replica)
        const grew = before !== undefined && row.heartbeats > before.row.heartbeats
        next.set(row.replica, { row, grewAt: grew ? at : before?.grewAt })
      }
      others = next
      return [...others.values()].filter(({ grewAt }) => grewAt === at).map(({ row }) => row)
    },
    // guard: outbox-notifier-polls
    isNotifier(listens) {
      if (listens) return isFirst(({ row }) => row.listens)
      const at = now()
      return isFirst(() => true) && ![...others.values()].some((other) => other.row.listens && isAlive(other, at))
    },
    isSweeper: () => isFirst(() => true),
  }
}

function isAlive({ grewAt = -Infinity }: Seen, at: number): boolean {
  return at - grewAt <= SILENT_MS
}
