// What commands ask of Entra ID and Graph with Gatehouse's own credential.
import { readFileSync } from 'node:fs'
import type { Config } from '../config/config.js'
import { GatehouseError } from '../core/errors.js'
import { createAppDirectory, type AppDirectory } from '../entra/app-directory.js'
import { entraEndpoints, severalTenants, type EntraEndpoints } from '../entra/clouds.js'
import { createClientCredential } from '../entra/credentials.js'
import { createHttpClient } from '../entra/http-client.js'
import { createInspection, type Inspection } from '../entra/inspection.js'

export function openAppDirectory(config: Config): AppDirectory & { close(): Promise<void> } {
  const { securityGroupsOnly, loginBudgetMs: budgetMs } = config.entra
  const { http, ...known } = registration(config)
  const directory = createAppDirectory({ http, ...known, securityGroupsOnly, budgetMs })
  return {
    memberships: (user) => hinted(directory.memberships(user)),
    directMemberships: (user) => hinted(directory.directMemberships(user)),
    objectId: (user) => hinted(directory.objectId(user)),
    group: (id) => hinted(directory.group(id)),
    close: () => http.close(),
  }
}

export function openInspection(
  config: Config,
): { inspection: Inspection, endpoints: EntraEndpoints, close(): Promise<void> } {
  const { http, ...known } = registration(config)
  const inspection = createInspection({
    http,
    ...known,
    redirectUri: `${config.server.publicUrl}/oauth2/callback`,
    budgetMs: config.entra.loginBudgetMs,
  })
  return { inspection, endpoints: known.endpoints, close: () => http.close() }
}

function registration({ entra }: Config) {
  const http = createHttpClient({ ca: entra.caFile === undefined ? undefined : readFileSync(entra.caFile, 'utf8') })
  // A token for nobody in particular is one tenant's: of several the first.
  const tenantId = severalTenants(entra.tenantId) ? entra.allowedTenants[0] ?? entra.tenantId : entra.tenantId
  const endpoints = entraEndpoints({ ...entra, tenantId })
  const { clientId } = entra
  return {
    http,
    endpoints,
    clientId,
    credential: createClientCredential(() => entra, { clientId, tokenEndpoint: endpoints.token }),
  }
}

/** Reading somebody else needs application permissions, which a login does not. */
async function hinted<T>(reading: Promise<T>): Promise<T> {
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
