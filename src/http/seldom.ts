// "At most once in a while for each key": for log lines that one client could cause as often as it likes. Bounded: the
// key that was noted first is dropped when there are too many.

export interface Seldom {
  /** Whether the key was not noted lately. If so it is noted now. */
  due(key: string): boolean
  readonly size: number
}

export interface SeldomOptions {
  readonly everyMs: number
  /** Keys that are remembered at most. */
  readonly capacity: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function createSeldom({ everyMs, capacity, now = () => performance.now() }: SeldomOptions): Seldom {
  const noted = new Map<string, number>() // in the order in which they were noted
  return {
    due(key) {
      const at = now()
      if ((noted.get(key) ?? -Infinity) > at - everyMs) return false
      noted.delete(key)
      for (const first of noted.keys()) {
        if (noted.size < capacity) break
        noted.delete(first)
      }
      noted.set(key, at)
      return true
    },
    get size() {
      return noted.size
    },
  }
}
