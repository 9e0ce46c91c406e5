// The options of a delta query: `$select` and `$filter` by object ID in the first request, then a token alone
// (learn.microsoft.com, "group: delta", "user: delta").
import { badRequest, unsupportedQuery } from './errors.js'
import { readSelect } from './query.js'

export type DeltaKind = 'users' | 'groups'

/** What one chain of requests is about. */
export interface DeltaScope {
  readonly kind: DeltaKind
  /** Empty: every property. */
  readonly select: readonly string[]
  /** Undefined: all objects. */
  readonly ids: readonly string[] | undefined
}

export type DeltaQuery =
  /** `fromNow`: no content, only a link for the changes from now on (`$deltatoken=latest`). */
  | { readonly start: DeltaScope, readonly fromNow: boolean }
  | { readonly deltaToken: string }
  | { readonly skipToken: string }

const MAX_IDS = 50
const ID = /^id eq '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'$/i

export function readDeltaQuery(kind: DeltaKind, query: Readonly<Record<string, unknown>>): DeltaQuery {
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') {
      throw badRequest(`Query option '${name}' was specified more than once, but it must be specified at most once.`)
    }
    if (!['$select', '$filter', '$deltatoken', '$skiptoken'].includes(name)) {
      throw unsupportedQuery(`The query parameter '${name}' is not supported with change tracking.`)
    }
  }
  const { $select, $filter, $deltatoken, $skiptoken } = query as Record<string, string | undefined>
  if ($skiptoken !== undefined || ($deltatoken !== undefined && $deltatoken !== 'latest' && $deltatoken !== '')) {
    if (Object.keys(query).length > 1) throw badRequest('Query parameters belong to the first request alone.')
    return $skiptoken === undefined ? { deltaToken: $deltatoken ?? '' } : { skipToken: $skiptoken }
  }
  const ids = $filter === undefined ? undefined : readIds($filter)
  return { start: { kind, select: readSelect($select), ids }, fromNow: $deltatoken === 'latest' }
}

function readIds(filter: string): readonly string[] {
  const ids = filter.trim().split(/\s+or\s+/).map((term) => ID.exec(term)?.[1]?.toLowerCase())
  const known = ids.filter((id) => id !== undefined)
  if (known.length < ids.length) throw unsupportedQuery('Unsupported Query.')
  if (known.length > MAX_IDS) throw badRequest(`Too many objects in the filter: the limit is ${MAX_IDS}.`)
  return known
}
