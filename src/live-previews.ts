// Live previews put together, for the console, its API and the commands: they share the one of the installation.
import { beginLivePreview, LIVE_PAGE, type LivePreviewPorts, type LivePreviewRun } from './admin/live-preview.js'
import type { LiveRun } from './admin/policy-preview.js'
import type { EntraClient } from './entra/client.js'
import { openLiveAccounts } from './entra/live-accounts.js'
import type { Database } from './store/database.js'
import { createLivePreviews } from './store/live-previews.js'
import { snapshotsOfActiveUsers, type UserSnapshot } from './store/membership-snapshots.js'

export interface LivePreviewDeps extends Pick<LivePreviewPorts, 'place' | 'signInsHeldUntil'> {
  readonly database: Database
  /** For one preview alone. */
  readonly openClient: () => EntraClient
  readonly securityGroupsOnly: boolean
}

/** @throws GatehouseError `live_preview_busy`, `graph_throttled` */
export async function openLivePreview(
  actor: string,
  { database, openClient, securityGroupsOnly, place, signInsHeldUntil }: LivePreviewDeps,
): Promise<LiveRun & Pick<LivePreviewRun, 'fresh'>> {
  const run = await beginLivePreview(actor, {
    place,
    signInsHeldUntil,
    live: createLivePreviews(database),
    openAccounts: (stop, onThrottled) => openLiveAccounts(openClient(), { securityGroupsOnly, stop, onThrottled }),
  })
  return { ...run, snapshots: () => run.fresh(activeUsers(database)) }
}

/** All active users, without their Entra groups. */
function activeUsers(database: Database): AsyncIterable<readonly UserSnapshot[]> {
  return snapshotsOfActiveUsers(database, [], LIVE_PAGE)
}
