// The signing keys as this process knows them: read at start, read again every minute, kept while the database is silent.
import type { AssertionKey, KeyRing, PublicJwk } from '../core/assertion.js'
import { GatehouseError } from '../core/errors.js'
import type { SigningKeyStore, StoredKey } from './keys.js'

export interface LiveKeyRing extends KeyRing {
  refresh(): Promise<void>
}

export interface KeyRingOptions {
  /** Milliseconds; any origin. */
  readonly now?: () => number
}

/** Call `refresh` before anything else. */
export function createKeyRing(store: Pick<SigningKeyStore, 'load'>, { now = () => performance.now() }: KeyRingOptions = {}): LiveKeyRing {
  let keys: readonly (StoredKey & { readonly activeFrom: number })[] = []
  return {
    async refresh() {
      const read = now()
      keys = (await store.load()).map((key) => ({ ...key, activeFrom: read + key.activeInMs }))
    },
    signing(): AssertionKey {
      const key = keys.findLast(({ activeFrom }) => activeFrom <= now()) ?? keys[0]
      if (!key) throw new GatehouseError('internal', { detail: 'there is no signing key' })
      return key
    },
    published: (): readonly PublicJwk[] => keys.map(({ publicJwk }) => publicJwk),
  }
}
