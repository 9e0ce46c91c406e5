// ALL groups of a person: every page is read before anything is used, and any inconsistency fails the whole read. An
// empty list is an answer; a missing one is not (learn.microsoft.com, "List a user's memberships", "Paging").
import { GatehouseError } from '../core/errors.js'
import type { MembershipSnapshot } from '../core/identity.js'
import { DENIED } from './graph-errors.js'
import type { GraphClient, GraphRequest } from './graph.js'
import { readPages, type GroupList, type Page } from './membership-pages.js'

const TOP = '$top=999'
const MAX_RESTARTS = 3

type Relation = 'transitiveMemberOf' | 'memberOf'

export interface MembershipOptions {
  readonly graph: GraphClient
  readonly graphUrl: string
  /** `users/{oid}` or `me`. */
  readonly path: 'users' | 'me'
  /** `transitiveMemberOf` (default): all memberships; `memberOf`: the direct ones. */
  readonly relation?: Relation
  /** Leaves out groups that are not security-enabled. Graph reports this only with GroupMember.Read.All. */
  readonly securityGroupsOnly?: boolean
}

type Asking = Omit<GraphRequest, 'url'> & {
  readonly oid: string
  /** The answer to the first page, where it was asked for together with others (firstPage). @throws like a `get` */
  readonly first?: () => Page
}

/** Path and query of the first page, below /v1.0. */
export function firstPage(owner: string, relation: Relation, securityGroupsOnly: boolean): string {
  return `/${owner}/${relation}?$select=${securityGroupsOnly ? 'id,securityEnabled' : 'id'}&${TOP}` // guard: ids-alone
}

/** @throws GatehouseError `graph_*`, `person_not_found` */
export async function readMemberships(
  // guard: nested-groups, netbox-nested-groups
  { graph, graphUrl, path, relation = 'transitiveMemberOf', securityGroupsOnly = false }: MembershipOptions,
  { oid, first, ...request }: Asking,
): Promise<Omit<MembershipSnapshot, 'readAt'>> {
  const owner = path === 'me' ? 'me' : `users/${oid}` // guard: person-by-oid, me-instead
  const [plain = '', query = ''] = `${graphUrl}/v1.0${firstPage(owner, relation, securityGroupsOnly)}`.split('?')
  const lists: Lists = {
    usual: { url: `${plain}?${query}`, cast: false },
    plain: { url: plain, cast: false }, // needs no query support
    groups: { url: `${plain}/microsoft.graph.group?${query}&$count=true`, cast: true },
  }
  let list = lists.usual
  let known = first
  let requests = 0
  let pages = 0
  const get = async (url: string): Promise<Page> => {
    const answer = known
    known = undefined
    if (answer === undefined) requests++
    const page = answer === undefined ? await graph.get({ ...request, url, advancedQuery: list.cast }) : answer()
    pages++
    return page
  }
  for (let restart = 0;; restart++) {
    pages = 0
    try {
      return { groupIds: [...await readPages(list, { securityGroupsOnly, get })], requests }
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error
      const next = restart < MAX_RESTARTS ? instead(lists, list, error, pages) : undefined
      if (next === undefined) throw list.cast && isDenied(error) ? deniedTwice(error) : error
      list = next
    }
  }
}

type Lists = Readonly<Record<'usual' | 'plain' | 'groups', GroupList>>

const RESTARTED: ReadonlySet<string> = new Set(['graph_page_expired', 'graph_count_differs'])

/** What is read after this error, from its first page and with nothing kept; undefined where the error is final. */
function instead(lists: Lists, list: GroupList, error: GatehouseError, pagesRead: number): GroupList | undefined {
  if (RESTARTED.has(error.code)) return list
  if (list.cast) return undefined
  // Guests may be refused the list of everything they are in and allowed the list of groups. The index behind an
  // advanced query lags, which is why it is only the second choice.
  if (pagesRead === 0 && isDenied(error)) return lists.groups // guard: adv-guests-cast, adv-guests-first-page
  return list === lists.usual && error.facts.graphCode === 'Request_UnsupportedQuery' ? lists.plain : undefined
}

function isDenied({ code }: GatehouseError): boolean {
  return code === 'graph_forbidden'
}

function deniedTwice(error: GatehouseError): GatehouseError {
  const detail = `${error.message}, for the groups alone too`
  // guard: adv-guests-remedy
  return new GatehouseError('graph_forbidden', { detail, facts: error.facts, remedy: DENIED })
}
