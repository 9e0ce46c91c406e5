// The accounts of everybody, for live previews: at low priority, with requests of its own, so that nothing of it counts
// as an answer to sign-ins. It ends where its caller wants it to, also in the middle of a request.
import type { AccountSource } from '../core/account-source.js'
import { createAccountSource } from './accounts.js'
import { createBackgroundGraph, type BackgroundGraphOptions } from './background-graph.js'
import type { EntraClient } from './client.js'

/** Of one request with its retries. */
const BUDGET_MS = 60_000

/** @param client of this preview alone: it is closed with it */
export function openLiveAccounts(
  { appOnly, close }: Pick<EntraClient, 'appOnly' | 'close'>,
  { securityGroupsOnly, ...options }: BackgroundGraphOptions & { readonly securityGroupsOnly: boolean },
): AccountSource & { close(): Promise<void> } {
  const background = createBackgroundGraph(appOnly, options)
  return { ...createAccountSource({ ...appOnly, securityGroupsOnly, budgetMs: BUDGET_MS }, background), close }
}
