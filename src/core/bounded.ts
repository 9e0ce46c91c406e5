// Reads for pages: each has a time by which it must answer, and what costs more is kept for some seconds.
import { coalesced } from './coalesced.js'
import { GatehouseError } from './errors.js'
import type { Part } from './health.js'

export const READ_MS = 1_000

/** Never rejects. What answers later is dropped. */
export async function boundedPart<T>(read: () => Promise<T>, limitMs = READ_MS): Promise<Part<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<Part<T>>((resolve) => {
    timer = setTimeout(() => resolve({ state: 'unreachable', code: 'timeout' }), limitMs) // guard: admin-health-bounded
  })
  const answer = Promise.resolve().then(read).then(
    (value): Part<T> => ({ state: 'read', value }),
    // guard: admin-health-part
    (error: unknown): Part<T> => ({
      state: 'unreachable',
      code: error instanceof GatehouseError ? error.code : 'internal',
    }),
  )
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

export interface Remembered<T> {
  readonly value: T
  /** Milliseconds since 1970. */
  readonly readAt: number
}

/** What took longer to read is returned while it is read again. */
const SLOW_MS = 100
/** But not what is older. */
const OLDEST_MS = 60_000

/**
 * Reads again when what it knows is older than this; several at a time share one read. A failure is not kept.
 * @param elapsed monotonic milliseconds
 */
export function remembered<T>(
  read: () => Promise<T>,
  keepMs: number,
  now: () => number = Date.now,
  elapsed: () => number = () => performance.now(),
): () => Promise<Remembered<T>> {
  let known: Remembered<T> | undefined
  let isSlow = false
  const readOnce = coalesced(async () => {
    const readAt = now()
    const began = elapsed()
    known = { value: await read(), readAt }
    isSlow = elapsed() - began > SLOW_MS
    return known
  })
  return async () => {
    const age = known === undefined ? Infinity : now() - known.readAt
    if (known !== undefined && age < keepMs) return known
    const next = readOnce()
    if (known === undefined || !isSlow || age >= OLDEST_MS) return await next // guard: admin-remembered-oldest
    next.catch(() => {}) // what is known stays, until it is too old
    return known // guard: admin-remembered-slow
  }
}
