// What the workers of one machine have in common (server.workers): limits of requests and log budgets hold for all of
// them together. The primary process keeps it and the workers ask for it. A single process has no siblings.

/** The limits whose requests are counted. */
export type CounterName = 'pages' | 'signIn' | 'callbacks' | 'sessionPages' | 'userinfo' | 'adminApi' | 'adminTokens'

/** Log lines that are written once in an interval. */
export type Topic =
  | 'rateLimited'
  | 'unnamedHost'
  | 'unreachableReturn'
  | 'forwardedFor'
  | 'peer'
  | 'rotation'
  | 'shadowRule'

export interface Count {
  /** Requests in the current window, this one included. */
  readonly current: number
  /** Until the window ends. */
  readonly ttlMs: number
}

/** Rejects where the primary process does not answer: the request is then refused. */
export type Increment = (counter: CounterName, key: string, windowMs: number) => Promise<Count>

/** Keys of log lines that were written, so that no other worker writes them again. */
export interface Announcements {
  announce(key: string): void
  /** Called for keys that another worker announced. */
  onAnnounced(listener: (key: string) => void): void
}

export interface Place {
  /** From 1 to `count`. A worker that comes back has the number of the one before it. */
  readonly number: number
  readonly count: number
}

export interface Siblings extends Place {
  readonly increment: Increment
  announcements(topic: Topic): Announcements
}

/** Milliseconds by the monotonic clock of the machine: the same in all of its processes, however its time is set. */
export function machineClock(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

/**
 * The part of `total` that this worker may use in an interval. The parts of all workers sum to `total`. Those that do
 * not get an equal part alternate from interval to interval, so that each gets one in turn.
 * @param interval the number of the interval, the same for all workers
 */
export function partOf(total: number, { number, count }: Place, interval: number): number {
  const additional = (number + interval) % count < total % count ? 1 : 0 // guard: workers-budget-divided
  return Math.floor(total / count) + additional
}
