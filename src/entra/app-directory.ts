// Memberships of a user without a sign-in: read with application permissions, for commands. Needs
// User.Read.All and GroupMember.Read.All with admin consent (learn.microsoft.com, "client credentials flow").
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { createAppToken } from './app-token.js'
import type { EntraConnection } from './client.js'
import { REPORT } from './graph-errors.js'
import { createGraphClient } from './graph.js'
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
}

export function createAppDirectory(
  { http, endpoints, clientId, credential, securityGroupsOnly, budgetMs }: AppDirectoryOptions,
): AppDirectory {
  const graph = createGraphClient({ http, graphUrl: endpoints.graph })
  const token = createAppToken({ http, endpoints, clientId, credential })
  const asking = async () => {
    const deadline = performance.now() + budgetMs
    const signal = AbortSignal.timeout(budgetMs)
    const correlationId = randomUUID()
    return { accessToken: await token.get(correlationId, signal), correlationId, signal, deadline }
  }
  const read = async (user: string, relation: 'transitiveMemberOf' | 'memberOf'): Promise<readonly string[]> => {
    const { groupIds } = await readMemberships({
      graph,
      graphUrl: endpoints.graph,
      path: 'users',
      relation,
      securityGroupsOnly,
    }, { oid: encodeURIComponent(user), ...await asking() })
    return groupIds
  }
  return {
    memberships: (user) => read(user, 'transitiveMemberOf'),
    directMemberships: (user) => read(user, 'memberOf'),
    async objectId(user) {
      const { id } = await graph.get({
        url: `${endpoints.graph}/v1.0/users/${encodeURIComponent(user)}?$select=id`,
        ...await asking(),
      })
      if (typeof id !== 'string' || !isObjectId(id)) {
        throw new GatehouseError('graph_malformed', { detail: 'a user has no object ID', remedy: REPORT })
      }
      return id.toLowerCase()
    },
    async group(id) {
      const url = `${endpoints.graph}/v1.0/groups/${
        encodeURIComponent(id)
      }?$select=id,displayName,groupTypes,visibility,securityEnabled`
      try {
        return factsOf(await graph.get({ url, ...await asking() }))
      } catch (error) {
        if (error instanceof GatehouseError && error.facts.status === 404) return undefined
        throw error
      }
    },
  }
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
