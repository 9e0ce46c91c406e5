// Memberships of a user without a sign-in: read with application permissions, for commands. Needs
// User.Read.All and GroupMember.Read.All with admin consent (learn.microsoft.com, "client credentials flow").
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { createAppToken } from './app-token.js'
import type { EntraConnection } from './client.js'
import { REPORT } from './graph-errors.js'
import { createGraphClient, type GraphRequest } from './graph.js'
import { readMemberships } from './memberships.js'

export interface AppDirectory {
  /** @param user object ID or user principal name @throws GatehouseError `graph_*`, `entra_*`, `person_not_found` */
  memberships(user: string): Promise<readonly string[]>
  /** Without groups that contain the user only through another group. */
  directMemberships(user: string): Promise<readonly string[]>
  /** @param user principal name or object ID */
  objectId(user: string): Promise<string>
  /** Undefined: the group does not exist. */
  group(id: string): Promise<GroupFacts | undefined>
}

/** The properties that decide who can join a group (learn.microsoft.com, "group resource type"). */
export interface GroupFacts {
  readonly displayName: string | null
  /** A Microsoft 365 group that every member of the organisation may join. */
  readonly open: boolean
  /** Null: not in Graph's response. */
  readonly securityEnabled: boolean | null
}

export interface AppDirectoryOptions extends EntraConnection {
  readonly securityGroupsOnly: boolean
  /** For each request. */
  readonly budgetMs: number
  /** Default: that of a sign-in. */
  readonly priority?: GraphRequest['priority']
}

export function createAppDirectory(
  { http, endpoints, clientId, credential, securityGroupsOnly, budgetMs, priority = 'high' }: AppDirectoryOptions,
): AppDirectory {
  const graph = createGraphClient({ http, graphUrl: endpoints.graph })
  const token = createAppToken({ http, endpoints, clientId, credential })
  const asking = async () => {
    const deadline = performance.now() + budgetMs
    const signal = AbortSignal.timeout(budgetMs)
    const correlationId = randomUUID()
    return { accessToken: await token.get(correlationId, signal), correlationId, signal, deadline, priority }
  }
  const read = async (user: string, relation: 'transitiveMemberOf' | 'memberOf'): Promise<readonly string[]> => {
    const options = { graph, graphUrl: endpoints.graph, path: 'users' as const, relation, securityGroupsOnly }
    return (await readMemberships(options, { oid: encodeURIComponent(user), ...await asking() })).groupIds
  }
  const objectId = async (user: string): Promise<string> => {
    const { id } = await graph.get({
      url: `${endpoints.graph}/v1.0/users/${encodeURIComponent(user)}?$select=id`,
      ...await asking(),
    })
    if (typeof id !== 'string' || !isObjectId(id)) {
      throw new GatehouseError('graph_malformed', { detail: 'a user has no object ID', remedy: REPORT })
    }
    return id.toLowerCase()
  }
  const group = async (id: string): Promise<GroupFacts | undefined> => {
    const url = `${endpoints.graph}/v1.0/groups/${
      encodeURIComponent(id)
    }?$select=id,displayName,groupTypes,visibility,securityEnabled`
    try {
      return factsOf(await graph.get({ url, ...await asking() }))
    } catch (error) {
      if (error instanceof GatehouseError && error.facts.status === 404) return undefined
      throw error
    }
  }
  return {
    memberships: (user) => withPermissionRemedy(read(user, 'transitiveMemberOf')),
    directMemberships: (user) => withPermissionRemedy(read(user, 'memberOf')),
    objectId: (user) => withPermissionRemedy(objectId(user)),
    group: (id) => withPermissionRemedy(group(id)),
  }
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

function factsOf(
  { displayName, groupTypes, visibility, securityEnabled }: Readonly<Record<string, unknown>>,
): GroupFacts {
  const unified = Array.isArray(groupTypes) && groupTypes.includes('Unified')
  return {
    displayName: typeof displayName === 'string' ? displayName : null,
    open: unified && visibility === 'Public', // guard: open-group
    securityEnabled: typeof securityEnabled === 'boolean' ? securityEnabled : null,
  }
}
