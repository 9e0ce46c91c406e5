// The pages of one list of memberships: all of them are read before any is used, and an inconsistency fails the whole
// list (learn.microsoft.com, "Paging", "Advanced query capabilities").
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { COUNT_DIFFERS, REPORT } from './graph-errors.js'

const GROUP = '#microsoft.graph.group' // directory roles and administrative units come in the same list
const MAX_PAGES = 1_000

export type Page = Readonly<Record<string, unknown>>

export interface GroupList {
  /** Of the first page. */
  readonly url: string
  /** Only groups were requested: elements need no type, and the first page has their count. */
  readonly cast: boolean
}

export interface PageReader {
  readonly securityGroupsOnly: boolean
  /** @throws GatehouseError `graph_*` */
  readonly get: (url: string) => Promise<Page>
}

/** @returns lower-case ids, each once @throws GatehouseError `graph_*` */
export async function readPages(
  { url: first, cast }: GroupList,
  { securityGroupsOnly, get }: PageReader,
): Promise<Set<string>> {
  const groupIds = new Set<string>()
  const listed = new Set<string>()
  const seen = new Set<string>()
  const { origin } = new URL(first)
  let expected: number | undefined
  for (let url: string | undefined = first; url !== undefined;) {
    if (seen.has(url)) {
      const detail = `page ${seen.size} points back to one that was read`
      throw new GatehouseError('graph_paging_loop', { detail, remedy: REPORT })
    }
    if (seen.size === MAX_PAGES) { // guard: pages-counted
      const remedy = 'This user has close to a million groups: please report it.'
      throw new GatehouseError('graph_too_many_pages', { detail: `more than ${MAX_PAGES} pages`, remedy })
    }
    seen.add(url)
    const page = await get(url) // guard: half-is-nothing
    if (cast && seen.size === 1) expected = countOf(page)
    for (const { id, counts } of elements(page, { cast, securityGroupsOnly })) {
      listed.add(id)
      if (counts) groupIds.add(id)
    }
    url = nextLink(page, origin) // guard: every-page
    if (cast && url !== undefined) url = withCount(url) // guard: adv-guests-next-page
  }
  if (cast && listed.size !== expected) { // guard: adv-guests-counted
    throw countDiffers(`${listed.size} groups were listed, ${expected} were counted`)
  }
  return groupIds
}

function countOf(page: Page): number {
  const count = page['@odata.count']
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count
  throw countDiffers('the first page has no count of the groups (@odata.count)')
}

function countDiffers(detail: string): GatehouseError {
  return new GatehouseError('graph_count_differs', { detail, remedy: COUNT_DIFFERS })
}

interface Reading {
  readonly cast: boolean
  readonly securityGroupsOnly: boolean
}

interface Membership {
  readonly id: string
  readonly counts: boolean
}

function* elements(page: Page, { cast, securityGroupsOnly }: Reading): Generator<Membership> {
  if (!Array.isArray(page.value)) { // guard: list-required
    const detail = 'a page has no list of memberships (`value`)'
    throw new GatehouseError('graph_malformed', { detail, remedy: REPORT })
  }
  for (const item of page.value as readonly unknown[]) {
    const fields = typeof item === 'object' && item !== null ? item as Page : {}
    const { '@odata.type': givenType, id, securityEnabled } = fields
    const type = cast && givenType === undefined ? GROUP : givenType
    // Without a type, group and role are indistinguishable: dropping it would lose groups, keeping it would be a guess.
    if (typeof type !== 'string' || typeof id !== 'string' || !isObjectId(id)) {
      const detail = 'a membership has no @odata.type or no object ID'
      throw new GatehouseError('graph_malformed', { detail, remedy: REPORT })
    }
    if (type !== GROUP) continue // guard: groups-alone, every-kind-of-group
    // Null means "not permitted to read": leaving the group out would take rights away, keeping it would give some.
    if (securityGroupsOnly && typeof securityEnabled !== 'boolean') throw securityHidden() // guard: security-null
    yield { id: id.toLowerCase(), counts: !securityGroupsOnly || securityEnabled === true }
  }
}

function securityHidden(): GatehouseError {
  return new GatehouseError('graph_security_hidden', {
    detail: 'Graph does not report which groups are security groups',
    remedy: 'Grant GroupMember.Read.All (delegated for logins, application for commands) with admin consent, ' +
      'or take entra.securityGroupsOnly away.',
  })
}

/** Followed verbatim, but only within Graph's origin: the token goes with it. */
function nextLink(page: Page, origin: string): string | undefined {
  const link = page['@odata.nextLink']
  if (link === undefined) return undefined
  if (typeof link !== 'string' || !URL.canParse(link)) {
    throw new GatehouseError('graph_malformed', { detail: '@odata.nextLink is no address', remedy: REPORT })
  }
  if (new URL(link).origin !== origin) {
    throw new GatehouseError('graph_foreign_link', {
      detail: `@odata.nextLink leads to ${new URL(link).origin} instead of ${origin}`,
      remedy: 'Check entra.graphUrl; if it is right, something between Gatehouse and Graph rewrites answers.',
    })
  }
  return link
}

/** An advanced query needs `$count=true` on every page. Graph's links repeat it; one without it would be refused. */
function withCount(url: string): string {
  const { searchParams, search, hash } = new URL(url)
  if (searchParams.has('$count')) return url
  return `${url.slice(0, url.length - hash.length)}${search === '' ? '?' : '&'}$count=true`
}
