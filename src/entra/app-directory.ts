// Somebody's memberships without them: read with Gatehouse's own (application) permissions, for dry runs. Needs
// User.Read.All and GroupMember.Read.All with admin consent (learn.microsoft.com, "client credentials flow").
import { randomUUID } from 'node:crypto'
import type { EntraEndpoints } from './clouds.js'
import type { ClientCredential } from './credentials.js'
import { createGraphClient } from './graph.js'
import type { HttpClient } from './http-client.js'
import { readMemberships } from './memberships.js'
import { requestAppToken } from './token.js'

export interface AppDirectory {
  /** @param user object ID or user principal name @throws GatehouseError `graph_*`, `entra_*`, `person_not_found` */
  memberships(user: string): Promise<readonly string[]>
  /** Those that hold the user directly, not through another group. */
  directMemberships(user: string): Promise<readonly string[]>
}

export interface AppDirectoryOptions {
  readonly http: HttpClient
  readonly endpoints: EntraEndpoints
  readonly clientId: string
  readonly credential: ClientCredential
  /** For each question. */
  readonly budgetMs: number
}

const EARLY_MS = 5 * 60_000

export function createAppDirectory({ http, endpoints, clientId, credential, budgetMs }: AppDirectoryOptions): AppDirectory {
  const graph = createGraphClient({ http, graphUrl: endpoints.graph })
  let token: { readonly accessToken: string, readonly until: number } | undefined
  const read = async (user: string, relation: 'transitiveMemberOf' | 'memberOf'): Promise<readonly string[]> => {
    const deadline = performance.now() + budgetMs
    const signal = AbortSignal.timeout(budgetMs)
    const correlationId = randomUUID()
    if (!token || performance.now() > token.until) {
      const { accessToken, expiresInMs } = await requestAppToken({ http, tokenEndpoint: endpoints.token, clientId, credential, scope: `${endpoints.graph}/.default` }, correlationId, signal)
      token = { accessToken, until: performance.now() + expiresInMs - EARLY_MS }
    }
    const { groupIds } = await readMemberships({ graph, graphUrl: endpoints.graph, path: 'users', relation }, { oid: encodeURIComponent(user), accessToken: token.accessToken, correlationId, signal, deadline })
    return groupIds
  }
  return {
    memberships: (user) => read(user, 'transitiveMemberOf'),
    directMemberships: (user) => read(user, 'memberOf'),
  }
}
