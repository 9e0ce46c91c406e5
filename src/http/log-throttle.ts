// Limits log lines that a client could cause at will to one per key and interval. The memory is bounded: above the
// capacity the key that was admitted first is dropped.

export interface LogThrottle {
  /** True if the key was not admitted within the interval; the key then counts as admitted now. */
  admit(key: string): boolean
  readonly size: number
}

export interface LogThrottleOptions {
  readonly intervalMs: number
  /** Maximum number of remembered keys. */
  readonly capacity: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function createLogThrottle(
  { intervalMs, capacity, now = () => performance.now() }: LogThrottleOptions,
): LogThrottle {
  const admitted = new Map<string, number>() // in the order of admission
  return {
    admit(key) {
      const at = now()
      if ((admitted.get(key) ?? -Infinity) > at - intervalMs) return false
      admitted.delete(key)
      for (const first of admitted.keys()) {
        if (admitted.size < capacity) break // guard: adv-log-throttle-bounded
        admitted.delete(first)
      }
      admitted.set(key, at)
      return true
    },
    get size() {
      return admitted.size
    },
  }
}
