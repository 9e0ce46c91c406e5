// The requests that the limits count, for all workers together: a window for each client, which begins with its first
// request. The memory is bounded: the client that was counted least recently is dropped.
import type { Count, CounterName } from '../core/siblings.js'

export interface Counters {
  increment(counter: CounterName, key: string, windowMs: number): Count
}

export interface CountersOptions {
  /** Clients that each limit counts. */
  readonly capacity?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

const CAPACITY = 5_000
/** Chains of callbacks (http/browser/callback-limit-exemption.ts). */
const CHAINS = 10_000
const MAX_KEY_LENGTH = 200

export function createCounters({ capacity, now = () => performance.now() }: CountersOptions = {}): Counters {
  const counters = new Map<CounterName, Map<string, { since: number, requests: number }>>()
  const windowsOf = (counter: CounterName) => {
    const windows = counters.get(counter) ?? new Map<string, { since: number, requests: number }>()
    counters.set(counter, windows)
    return windows
  }
  return {
    increment(counter, key, windowMs) {
      const windows = windowsOf(counter)
      const client = key.slice(0, MAX_KEY_LENGTH)
      const at = now()
      const known = windows.get(client)
      const window = known !== undefined && at - known.since < windowMs ? known : { since: at, requests: 0 }
      window.requests++
      windows.delete(client)
      windows.set(client, window)
      const most = capacity ?? (counter === 'callbacks' ? CHAINS : CAPACITY)
      for (const first of windows.keys()) {
        if (windows.size <= most) break // guard: workers-counters-bounded
        windows.delete(first)
      }
      return { current: window.requests, ttlMs: windowMs - (at - window.since) }
    },
  }
}
