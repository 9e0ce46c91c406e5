// Entra ID and Microsoft Graph for commands, with Gatehouse's own credential.
import type { Config } from '../config/config.js'
import { GatehouseError } from '../core/errors.js'
import { createAppDirectory, type AppDirectory } from '../entra/app-directory.js'
import { createEntraClient } from '../entra/client.js'
import type { EntraEndpoints } from '../entra/clouds.js'
import { createInspection, type Inspection } from '../entra/inspection.js'

export function openAppDirectory({ entra }: Config): AppDirectory & { close(): Promise<void> } {
  const { appOnly, close } = createEntraClient(() => entra)
  const { securityGroupsOnly, loginBudgetMs: budgetMs } = entra
  const directory = createAppDirectory({ ...appOnly, securityGroupsOnly, budgetMs })
  return {
    memberships: (user) => withPermissionRemedy(directory.memberships(user)),
    directMemberships: (user) => withPermissionRemedy(directory.directMemberships(user)),
    objectId: (user) => withPermissionRemedy(directory.objectId(user)),
    group: (id) => withPermissionRemedy(directory.group(id)),
    close,
  }
}

export function openInspection(
  { entra, server }: Config,
): { inspection: Inspection, endpoints: EntraEndpoints, close(): Promise<void> } {
  const { appOnly, close } = createEntraClient(() => entra)
  const inspection = createInspection({
    ...appOnly,
    redirectUri: `${server.publicUrl}/oauth2/callback`,
    budgetMs: entra.loginBudgetMs,
  })
  return { inspection, endpoints: appOnly.endpoints, close }
}

/** Reading another person's groups needs application permissions; a login does not. */
async function withPermissionRemedy<T>(reading: Promise<T>): Promise<T> {
  return await reading.catch((error: unknown) => {
    if (!(error instanceof GatehouseError) || error.code !== 'graph_forbidden') throw error
    throw new GatehouseError('graph_forbidden', {
      cause: error,
      detail: `${error.message}: Gatehouse itself may not read people's groups`,
      remedy:
        'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent; logins do not ' +
        'need them.',
      facts: error.facts,
    })
  })
}
