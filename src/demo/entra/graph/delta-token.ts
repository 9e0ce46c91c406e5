// `$deltatoken` and `$skiptoken` of delta queries: opaque to the client, unknown ones and those of another collection
// are refused, and they expire.
import { randomBytes } from 'node:crypto'

export interface DeltaTokens<Value> {
  write(value: Value, collection: string, now: number): string
  /** Undefined for a token that is unknown, expired, or of another collection. */
  read(token: string, collection: string, now: number): Value | undefined
}

/** The oldest are forgotten above this number: a demo may run for weeks. */
const MAX_TOKENS = 1_000

export function createDeltaTokens<Value>(lifetimeMs: number): DeltaTokens<Value> {
  const known = new Map<string, { readonly value: Value, readonly collection: string, readonly at: number }>()
  return {
    write(value, collection, at) {
      const token = randomBytes(48).toString('base64url')
      known.set(token, { value, collection, at })
      for (const oldest of known.keys()) {
        if (known.size <= MAX_TOKENS) break
        known.delete(oldest)
      }
      return token
    },
    read(token, collection, now) {
      const found = known.get(token)
      return found?.collection === collection && now - found.at <= lifetimeMs ? found.value : undefined
    },
  }
}
