// The app-only directory of a configuration, for commands.
import { readFileSync } from 'node:fs'
import type { Config } from '../config/config.js'
import { GatehouseError } from '../core/errors.js'
import { createAppDirectory, type AppDirectory } from '../entra/app-directory.js'
import { entraEndpoints } from '../entra/clouds.js'
import { createClientCredential } from '../entra/credentials.js'
import { createHttpClient } from '../entra/http-client.js'

export function openAppDirectory({ entra }: Config): AppDirectory & { close(): Promise<void> } {
  const http = createHttpClient({ ca: entra.caFile === undefined ? undefined : readFileSync(entra.caFile, 'utf8') })
  const endpoints = entraEndpoints(entra)
  const { clientId, securityGroupsOnly, loginBudgetMs: budgetMs } = entra
  const credential = createClientCredential(() => entra, { clientId, tokenEndpoint: endpoints.token })
  const directory = createAppDirectory({ http, endpoints, securityGroupsOnly, clientId, credential, budgetMs })
  return { memberships: (user) => hinted(directory.memberships(user)), directMemberships: (user) => hinted(directory.directMemberships(user)), group: (id) => hinted(directory.group(id)), close: () => http.close() }
}

/** Reading somebody else needs application permissions, which a login does not. */
async function hinted<T>(reading: Promise<T>): Promise<T> {
  return await reading.catch((error: unknown) => {
    if (!(error instanceof GatehouseError) || error.code !== 'graph_forbidden') throw error
    throw new GatehouseError('graph_forbidden', { cause: error, detail: `${error.message}: Gatehouse itself may not read people's groups`, remedy: 'Grant the application permissions User.Read.All and GroupMember.Read.All with admin consent; logins do not need them.', facts: error.facts })
  })
}
