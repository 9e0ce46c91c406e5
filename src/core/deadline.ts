// The time limit of one piece of work, which the end of a longer job ends too. AbortSignal.any would keep a signal of
// each of its ten thousand requests in memory until the job ends, and a signal of AbortSignal.timeout in it may be
// collected as garbage before its time (Node.js 20).

export interface Deadline {
  /** Milliseconds (monotonic) at which the signal fires. */
  readonly at: number
  readonly signal: AbortSignal
  /** The work is over: the timer and the listener are removed. */
  clear(): void
}

/** @param job its end ends the work; undefined: nothing else does */
export function createDeadline(ms: number, job?: AbortSignal): Deadline {
  const at = performance.now() + ms
  if (job === undefined) return { at, signal: AbortSignal.timeout(ms), clear: () => {} }
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  if (job.aborted) abort()
  job.addEventListener('abort', abort, { once: true })
  const timer = setTimeout(abort, ms).unref()
  return {
    at,
    signal: controller.signal,
    clear() {
      clearTimeout(timer)
      job.removeEventListener('abort', abort)
    },
  }
}
