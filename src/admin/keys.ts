// The signing keys for the console, its API and the commands: without their private halves.
import { coalesced } from '../core/coalesced.js'
import type { KeyView } from '../core/health.js'

export interface KeysAdmin {
  /** The oldest first. @throws GatehouseError `database_unavailable` */
  list(): Promise<readonly KeyView[]>
}

export interface KeysPorts {
  readonly keys: { list(): Promise<readonly KeyView[]> }
}

export function createKeysAdmin({ keys }: KeysPorts): KeysAdmin {
  return { list: coalesced(() => keys.list()) }
}
