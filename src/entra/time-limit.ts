// The time limit of a request, which the end of a longer job ends too. AbortSignal.any would keep a signal of each of
// its ten thousand requests in memory until the job ends.

export interface TimeLimit {
  /** Milliseconds (monotonic) at which the signal fires. */
  readonly deadline: number
  readonly signal: AbortSignal
  /** To be called when the request has ended. */
  release(): void
}

/** @param stop of the job; undefined: nothing else ends the request */
export function timeLimit(ms: number, stop?: AbortSignal): TimeLimit {
  const deadline = performance.now() + ms
  if (stop === undefined) return { deadline, signal: AbortSignal.timeout(ms), release: () => {} }
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  if (stop.aborted) abort()
  stop.addEventListener('abort', abort, { once: true })
  const timer = setTimeout(abort, ms).unref()
  return {
    deadline,
    signal: controller.signal,
    release() {
      clearTimeout(timer)
      stop.removeEventListener('abort', abort)
    },
  }
}
