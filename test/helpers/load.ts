// So many requests a second, whatever becomes of those before: what each came to is counted, and how long it took.
// Where the machine cannot keep up, no more than so many wait at once: otherwise the load would measure its own queue.
import { setTimeout as sleep } from 'node:timers/promises'

/** `at`: when it began. */
export interface Outcome {
  readonly result: string
  readonly at: number
  readonly ms: number
}

export interface Load {
  readonly outcomes: readonly Outcome[]
  /** No more; those under way end. */
  stop(): Promise<readonly Outcome[]>
}

const TICK_MS = 20
const AT_ONCE = 200

/** @param one says what it came to: `ok`, or what went wrong */
export function startLoad(aSecond: number, one: (number: number) => Promise<string>): Load {
  const outcomes: Outcome[] = []
  const underWay = new Set<Promise<void>>()
  const state = { running: true }
  let begun = 0
  const begin = (number: number): void => {
    const from = performance.now()
    const done = one(number).catch((error: unknown) => String(error)).then((result) => {
      outcomes.push({ result, at: from, ms: performance.now() - from })
      underWay.delete(done)
    })
    underWay.add(done)
  }
  const from = performance.now()
  const loop = (async () => {
    while (state.running) {
      for (const due = (performance.now() - from) * aSecond / 1000; begun < due; begun++) {
        if (underWay.size < AT_ONCE) begin(begun)
      }
      await sleep(TICK_MS)
    }
  })()
  return {
    outcomes,
    async stop() {
      state.running = false
      await loop
      await Promise.all(underWay)
      return outcomes
    },
  }
}

/** `1200 ok; p50 3.1 ms, p99 20.0 ms, max 31.4 ms` */
export function figures(outcomes: readonly Outcome[]): string {
  const counts = new Map<string, number>()
  for (const { result } of outcomes) counts.set(result, (counts.get(result) ?? 0) + 1)
  const sorted = outcomes.map(({ ms }) => ms).sort((a, b) => a - b)
  const at = (part: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN).toFixed(1)
  return `${[...counts].map(([result, count]) => `${count} ${result}`).join(', ')}; p50 ${at(0.5)} ms, p99 ${
    at(0.99)
  } ms, max ${at(1)} ms`
}
