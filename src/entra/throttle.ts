// One pause that Graph asked for (`Retry-After` of a 429) holds for all requests of a client: fifty logins do not
// repeat the request that was throttled. One request is let through as a probe in each interval all the same, so that a
// long pause ends when Graph answers again and not when it said that it would.

export interface Waiting {
  readonly signal: AbortSignal
  /** Milliseconds (monotonic): no wait is begun that would outlast it. */
  readonly deadline: number
}

/** `no`: the wait would outlast the request. */
export type Turn = 'go' | 'probe' | 'no'

export interface Throttle {
  /** Waits for a turn. A `probe` must end with `probed`. */
  turn(request: Waiting): Promise<Turn>
  probed(): void
  pause(ms: number): void
  /** A request that was sent at this time (monotonic) was not throttled. */
  answered(sentAt: number): void
  /** Milliseconds until the pause is over; 0 where there is none. */
  remainingMs(): number
}

export interface ThrottleOptions {
  /** Infinity: no probes. */
  readonly probeEveryMs: number
  /** Milliseconds, monotonic. */
  readonly clock?: () => number
}

export function createThrottle({ probeEveryMs, clock = () => performance.now() }: ThrottleOptions): Throttle {
  let [since, until, probeAt] = [-Infinity, -Infinity, -Infinity]
  let probing = false
  const sleepers = createSleepers()

  return {
    async turn({ signal, deadline }) {
      for (;;) {
        const now = clock()
        if (signal.aborted) return 'no'
        if (now >= until) return 'go'
        if (now >= probeAt && !probing) { // guard: adv-throttle-probe
          probing = true
          probeAt = now + probeEveryMs
          return 'probe'
        }
        // While a probe is under way its outcome is waited for, however late the next one would be.
        const next = probing ? Math.min(until, deadline) : Math.min(until, probeAt)
        if (now >= deadline || (!probing && next >= deadline)) return 'no'
        await sleepers.sleep(next - now, signal)
      }
    },
    probed() {
      probing = false
      sleepers.wakeAll()
    },
    pause(ms) {
      const now = clock()
      if (now >= until) probeAt = now + probeEveryMs
      since = now
      until = Math.max(until, now + ms)
    },
    answered(sentAt) {
      if (sentAt < since || until === -Infinity) return // guard: adv-throttle-ended, adv-throttle-old-answer
      until = -Infinity
      sleepers.wakeAll()
    },
    remainingMs: () => Math.max(0, until - clock()),
  }
}

interface Sleepers {
  /** Ends after this time, with the signal or with `wakeAll`. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  wakeAll(): void
}

function createSleepers(): Sleepers {
  const sleepers = new Set<() => void>()
  return {
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          sleepers.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        sleepers.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      }),
    wakeAll() {
      for (const wake of [...sleepers]) wake()
    },
  }
}
