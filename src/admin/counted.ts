// A value that takes long to count: counted at most once at a time, kept for a while, and never waited for longer than
// a page may take.

export interface Counted<Value> {
  readonly value: Value
  readonly at: Date
}

export interface CountedOptions<Value> {
  readonly count: () => Promise<Value>
  /** A value of this age is counted again (milliseconds). */
  readonly maxAgeMs: number
  /** How long a reader waits for the first value. */
  readonly waitMs: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** The database works for this count at most a twentieth of the time. */
const AGE_FOR_COST = 20

/** @returns the last value; undefined: it is being counted for the first time. @throws what `count` failed with */
export function createCounted<Value>(
  { count, maxAgeMs, waitMs, now = Date.now }: CountedOptions<Value>,
): () => Promise<Counted<Value> | undefined> {
  let last: Counted<Value> & { readonly validMs: number } | undefined
  let running: Promise<void> | undefined
  const countNow = async (): Promise<void> => {
    const began = now()
    try {
      const value = await count()
      last = { value, at: new Date(now()), validMs: Math.max(maxAgeMs, AGE_FOR_COST * (now() - began)) }
    } finally {
      running = undefined
    }
  }
  return async () => {
    const due = last === undefined || now() - last.at.getTime() >= last.validMs
    if (due && running === undefined) {
      running = countNow()
      running.catch(() => {}) // a failure is for the readers that wait; the next reader counts again
    }
    if (last === undefined && running !== undefined) await atMost(running, waitMs)
    return last && { value: last.value, at: last.at }
  }
}

async function atMost(work: Promise<void>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    await Promise.race([work, elapsed])
  } finally {
    clearTimeout(timer)
  }
}
