// Entra ID for administrators who ask about one user: with a client of its own, so that nothing of it counts as an
// answer to sign-ins, and after them (low priority). It is opened by the first question.
import type { LiveDirectory } from '../core/policy.js'
import { createAppDirectory, type AppDirectory } from './app-directory.js'
import { createEntraClient, type EntraSettings } from './client.js'

/** Of one request with its retries: an administrator waits for it. */
const BUDGET_MS = 5_000

export interface OpenLiveDirectory extends LiveDirectory {
  close(): Promise<void>
}

export function openLiveDirectory(
  current: () => EntraSettings,
  { securityGroupsOnly }: { readonly securityGroupsOnly: boolean },
): OpenLiveDirectory {
  let open: { readonly directory: AppDirectory, close(): Promise<void> } | undefined
  const directory = (): AppDirectory => {
    if (open === undefined) {
      const { appOnly, close } = createEntraClient(current)
      const options = { ...appOnly, securityGroupsOnly, budgetMs: BUDGET_MS, priority: 'low' as const }
      open = { directory: createAppDirectory(options), close }
    }
    return open.directory
  }
  return {
    objectId: async (user) => await directory().objectId(user),
    memberships: async (oid) => await directory().memberships(oid),
    directMemberships: async (oid) => await directory().directMemberships(oid),
    group: async (id) => await directory().group(id),
    close: async () => await open?.close(),
  }
}
