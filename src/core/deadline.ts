// A time limit for one piece of work that can also be aborted from outside. AbortSignal.any does not do it: a signal of
// AbortSignal.timeout in it may be collected as garbage before its time (Node.js 20).

export interface Deadline {
  readonly signal: AbortSignal
  /** The work is over: the timer and the listener are removed. */
  clear(): void
}

export function createDeadline(ms: number, outer: AbortSignal): Deadline {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  const timer = setTimeout(abort, ms)
  outer.addEventListener('abort', abort)
  if (outer.aborted) abort()
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer)
      outer.removeEventListener('abort', abort)
    },
  }
}
