// ALL groups of a person: every page is read before anything is believed, and any doubt fails the whole reading. An
// empty list is an answer; a missing one is not (learn.microsoft.com, "List a user's memberships", "Paging").
import { GatehouseError } from '../core/errors.js'
import { isObjectId, type MembershipReading } from '../core/identity.js'
import { REPORT, type GraphClient, type GraphRequest } from './graph.js'

const TOP = '$top=999'
const GROUP = '#microsoft.graph.group' // directory roles and administrative units come in the same list
const MAX_PAGES = 1_000
const MAX_RESTARTS = 3

export interface MembershipOptions {
  readonly graph: GraphClient
  readonly graphUrl: string
  /** `users/{oid}` or `me`. */
  readonly path: 'users' | 'me'
  /** All memberships unless told otherwise; `memberOf` lists the direct ones. */
  readonly relation?: 'transitiveMemberOf' | 'memberOf'
  /** Leaves out groups that are not security-enabled; Graph says so only where GroupMember.Read.All is granted. */
  readonly securityGroupsOnly?: boolean
}

type Asking = Omit<GraphRequest, 'url'> & {
  readonly oid: string
  /** The answer to the first page, where it was asked for together with others (firstPage). @throws like a `get` */
  readonly first?: () => Readonly<Record<string, unknown>>
}

/** Path and query of the first page, below /v1.0. */
export function firstPage(owner: string, relation: 'transitiveMemberOf' | 'memberOf', securityGroupsOnly: boolean): string {
  return `/${owner}/${relation}?$select=${securityGroupsOnly ? 'id,securityEnabled' : 'id'}&${TOP}`
}

/** @throws GatehouseError `graph_*`, `person_not_found` */
export async function readMemberships({ graph, graphUrl, path, relation = 'transitiveMemberOf', securityGroupsOnly = false }: MembershipOptions, { oid, first, ...request }: Asking): Promise<Omit<MembershipReading, 'readAt'>> {
  let start = `${graphUrl}/v1.0${firstPage(path === 'me' ? 'me' : `users/${oid}`, relation, securityGroupsOnly)}`
  let here = first
  let requests = 0
  const get = async (url: string): Promise<Readonly<Record<string, unknown>>> => {
    const known = here
    here = undefined
    if (known !== undefined) return known()
    requests++
    return await graph.get({ ...request, url })
  }
  for (let restart = 0; ; restart++) {
    try {
      const groupIds = await readPages(start, new URL(graphUrl).origin, securityGroupsOnly, get)
      return { groupIds: [...groupIds], requests }
    } catch (error) {
      if (!(error instanceof GatehouseError) || restart >= MAX_RESTARTS) throw error
      if (error.code === 'graph_page_expired') continue // from page one, with nothing kept
      const [plain] = start.split('?')
      if (error.facts.graphCode !== 'Request_UnsupportedQuery' || plain === undefined || plain === start) throw error
      start = plain // the plain request needs no query support
    }
  }
}

async function readPages(first: string, origin: string, securityGroupsOnly: boolean, get: (url: string) => Promise<Readonly<Record<string, unknown>>>): Promise<Set<string>> {
  const groupIds = new Set<string>()
  const seen = new Set<string>()
  for (let url: string | undefined = first; url !== undefined;) {
    if (seen.has(url)) throw new GatehouseError('graph_paging_loop', { detail: `page ${seen.size} points back to one that was read`, remedy: REPORT })
    if (seen.size === MAX_PAGES) throw new GatehouseError('graph_too_many_pages', { detail: `more than ${MAX_PAGES} pages`, remedy: 'Somebody in close to a million groups: please report it.' })
    seen.add(url)
    const page = await get(url)
    collect(page, groupIds, securityGroupsOnly)
    url = nextLink(page, origin)
  }
  return groupIds
}

function collect(page: Readonly<Record<string, unknown>>, into: Set<string>, securityGroupsOnly: boolean): void {
  if (!Array.isArray(page.value)) throw new GatehouseError('graph_malformed', { detail: 'a page has no list of memberships (`value`)', remedy: REPORT })
  for (const item of page.value as readonly unknown[]) {
    const { '@odata.type': type, id, securityEnabled } = typeof item === 'object' && item !== null ? item as Readonly<Record<string, unknown>> : {}
    // Without a type a group cannot be told from a role; dropping it would be "no groups", keeping it a guess.
    if (typeof type !== 'string' || typeof id !== 'string' || !isObjectId(id)) throw new GatehouseError('graph_malformed', { detail: 'a membership has no @odata.type or no object ID', remedy: REPORT })
    if (type !== GROUP) continue
    // Null is "you may not know", not "no": leaving the group out would take rights away, keeping it would give some.
    if (securityGroupsOnly && typeof securityEnabled !== 'boolean') throw new GatehouseError('graph_security_hidden', { detail: 'Graph does not say which groups are security groups', remedy: 'Grant GroupMember.Read.All (delegated for logins, application for commands) with admin consent, or take entra.securityGroupsOnly away.' })
    if (!securityGroupsOnly || securityEnabled === true) into.add(id.toLowerCase())
  }
}

/** Followed verbatim, but only within Graph's origin: the token goes with it. */
function nextLink(page: Readonly<Record<string, unknown>>, origin: string): string | undefined {
  const link = page['@odata.nextLink']
  if (link === undefined) return undefined
  if (typeof link !== 'string' || !URL.canParse(link)) throw new GatehouseError('graph_malformed', { detail: '@odata.nextLink is no address', remedy: REPORT })
  if (new URL(link).origin !== origin) throw new GatehouseError('graph_foreign_link', { detail: `@odata.nextLink leads to ${new URL(link).origin} instead of ${origin}`, remedy: 'Check entra.graphUrl; if it is right, something between Gatehouse and Graph rewrites answers.' })
  return link
}
