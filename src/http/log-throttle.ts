// Limits log lines that a client could cause at will to one per key and interval. The memory is bounded: above the
// capacity the key that was admitted first is dropped, or no other key is admitted.
// Workers tell one another which lines they have written.
import type { Announcements } from '../core/siblings.js'

export interface LogThrottle {
  /** True if the key was not admitted within the interval; the key then counts as admitted now. */
  admit(key: string): boolean
  /** The line was written: no other worker writes it again within the interval. */
  written(key: string): void
  readonly size: number
}

export interface LogThrottleOptions {
  readonly intervalMs: number
  /** Maximum number of remembered keys. */
  readonly capacity: number
  /** `forget` (the default): the key that was admitted first may be admitted again before its interval is over. */
  readonly whenFull?: 'forget' | 'refuse'
  /** Monotonic milliseconds. */
  readonly now?: () => number
  /** Of the other workers of this machine. */
  readonly announcements?: Announcements | undefined
}

export function createLogThrottle(
  { intervalMs, capacity, whenFull = 'forget', now = () => performance.now(), announcements }: LogThrottleOptions,
): LogThrottle {
  const admitted = new Map<string, number>() // in the order of admission
  const remember = (key: string, at: number): void => {
    admitted.delete(key)
    for (const first of admitted.keys()) {
      if (admitted.size < capacity) break // guard: adv-log-throttle-bounded
      admitted.delete(first)
    }
    admitted.set(key, at)
  }
  announcements?.onAnnounced((key) => remember(key, now()))
  return {
    admit(key) {
      const at = now()
      if ((admitted.get(key) ?? -Infinity) > at - intervalMs) return false
      // guard: policy-shadow-log-bounded
      if (whenFull === 'refuse' && admitted.size >= capacity && !isOver(admitted, at - intervalMs)) return false
      remember(key, at)
      return true
    },
    written: (key) => announcements?.announce(key),
    get size() {
      return admitted.size
    },
  }
}

/** Whether the interval of the key that was admitted first is over, so that it may be dropped for another one. */
function isOver(admitted: ReadonlyMap<string, number>, before: number): boolean {
  const [first = Infinity] = admitted.values()
  return first <= before
}
