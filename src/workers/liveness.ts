// Whether a worker still answers: one whose event loop is blocked has connections that it does not serve,
// and does not end by itself.

export interface Liveness {
  /** It has answered. */
  answered(): void
  /** It has not answered in time, and has not yet answered since. */
  silent(): boolean
  close(): void
}

export interface LivenessOptions {
  /** Asks; the next question follows only after an answer. */
  readonly ask: () => void
  /** Once each time that it begins to be silent. */
  readonly onSilent: () => void
  /** Once. */
  readonly onHung: () => void
  readonly everyMs?: number
}

const EVERY_MS = 2_000
/** Intervals are counted, not time: after a pause of the whole machine only one has passed. */
const SILENT_AFTER = 2
/** Half a minute. */
const HUNG_AFTER = 15

export function createLiveness({ ask, onSilent, onHung, everyMs = EVERY_MS }: LivenessOptions): Liveness {
  let asked = false
  let missed = 0
  const timer = setInterval(() => {
    if (asked) {
      missed++
      if (missed === SILENT_AFTER) onSilent()
      if (missed === HUNG_AFTER) onHung() // guard: workers-hung-killed
      return
    }
    asked = true
    ask()
  }, everyMs).unref()
  return {
    answered() {
      asked = false
      missed = 0
    },
    silent: () => missed >= SILENT_AFTER,
    close: () => clearInterval(timer),
  }
}
