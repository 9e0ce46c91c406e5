// Deletes changes from the outbox a while after they were visible to every replica.
import type pg from 'pg'
import { sweepOutbox } from './outbox.js'

export interface SweeperOptions {
  readonly client: pg.ClientBase
  readonly sweepEveryMs?: number
  /** A reader that is slower than this has missed changes, and finds out (outbox.ts). */
  readonly sweptAfterMs?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export interface Sweeper {
  /** @param snapshot of the read that has just ended */
  sweep(snapshot: string): Promise<void>
}

export function createSweeper(
  { client, sweepEveryMs = 30_000, sweptAfterMs = 60_000, now = () => performance.now() }: SweeperOptions,
): Sweeper {
  let snapshots: readonly { readonly snapshot: string, readonly at: number }[] = []
  return {
    async sweep(snapshot) {
      const at = now()
      if (at - (snapshots.at(-1)?.at ?? -Infinity) < sweepEveryMs) return
      snapshots = [...snapshots, { snapshot, at }]
      const old = snapshots.findLastIndex((each) => at - each.at >= sweptAfterMs)
      if (old === -1) return
      snapshots = snapshots.slice(old) // also where the sweep fails: the next one deletes what this one did not
      await sweepOutbox(client, snapshots[0]?.snapshot ?? snapshot)
    },
  }
}
