// The Entra groups of many users, read from Graph now with Gatehouse's own credential, for previews. Graph answers them
// after sign-ins (priority low), and what it throttles is asked again.
import { randomUUID } from 'node:crypto'
import type { Config } from '../config/config.js'
import { createAccountSource } from '../entra/accounts.js'
import { createEntraClient } from '../entra/client.js'

export interface LiveMemberships {
  /**
   * @param oids object IDs
   * @returns for each the object IDs of its groups; undefined: the account is disabled or does not exist
   * @throws GatehouseError `graph_*`, `entra_*` where one of them cannot be read
   */
  read(oids: readonly string[]): Promise<ReadonlyMap<string, readonly string[] | undefined>>
  close(): Promise<void>
}

const CONCURRENT_REQUESTS = 4
/** Of one request with its retries: Graph may ask for pauses of minutes. */
const BUDGET_MS = 300_000

export function openLiveMemberships({ entra }: Config): LiveMemberships {
  const { appOnly, close } = createEntraClient(() => entra)
  const { securityGroupsOnly } = entra
  const source = createAccountSource({ ...appOnly, securityGroupsOnly, budgetMs: BUDGET_MS })
  return {
    async read(oids) {
      const found = new Map<string, readonly string[] | undefined>()
      const queue = [...oids]
      const readSome = async (): Promise<void> => {
        for (let some = queue.splice(0, source.batchSize); some.length > 0; some = queue.splice(0, source.batchSize)) {
          for (const [oid, account] of await source.read(some, randomUUID())) {
            if (account.kind === 'failed') throw account.error
            found.set(oid, account.kind === 'enabled' ? account.groupIds : undefined)
          }
        }
      }
      await Promise.all(Array.from({ length: CONCURRENT_REQUESTS }, readSome))
      return found
    },
    close,
  }
}
