// The signing keys in memory: read at start and every minute, kept while the database does not answer.
import type { AssertionKey, KeyRing, PublicJwk } from '../core/assertion.js'
import { GatehouseError } from '../core/errors.js'
import type { SigningKeyStore, StoredKey } from './keys.js'

export interface RefreshableKeyRing extends KeyRing {
  refresh(): Promise<void>
}

export interface KeyRingOptions {
  /** Milliseconds; any origin. */
  readonly now?: () => number
}

/** Call `refresh` before anything else. */
export function createKeyRing(
  store: Pick<SigningKeyStore, 'load'>,
  { now = () => performance.now() }: KeyRingOptions = {},
): RefreshableKeyRing {
  let keys: readonly (StoredKey & { readonly activeFrom: number })[] = []
  /** The active key, cached until the next one becomes active: it is read for every response. */
  let current: { readonly key: AssertionKey, readonly until: number } | undefined
  const find = (at: number): { readonly key: AssertionKey, readonly until: number } => {
    const key = keys.findLast(({ activeFrom }) => activeFrom <= at) ?? keys[0]
    if (!key) throw new GatehouseError('internal', { detail: 'there is no signing key' })
    return { key, until: Math.min(...keys.map(({ activeFrom }) => activeFrom > at ? activeFrom : Infinity)) }
  }
  return {
    async refresh() {
      const read = now()
      keys = (await store.load()).map((key) => ({ ...key, activeFrom: read + key.activeInMs }))
      current = undefined
    },
    signing(): AssertionKey {
      const at = now()
      if (current === undefined || at >= current.until) current = find(at)
      return current.key
    },
    published: (): readonly PublicJwk[] => keys.map(({ publicJwk }) => publicJwk),
  }
}
