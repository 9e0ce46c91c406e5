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

/** Reads again when what it knows is older than this; several at a time share one read. A failure is not kept. */
export function remembered<T>(
  read: () => Promise<T>,
  keepMs: number,
  now: () => number = Date.now,
): () => Promise<Remembered<T>> {
  let known: Remembered<T> | undefined
  const readOnce = coalesced(async () => {
    const readAt = now()
    known = { value: await read(), readAt }
    return known
  })
  return async () => known !== undefined && now() - known.readAt < keepMs ? known : await readOnce()
}
