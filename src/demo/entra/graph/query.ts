// OData options of the membership collections, and which of them need `ConsistencyLevel: eventual` with `$count=true`.
import { badRequest, unsupportedQuery } from './errors.js'

export interface CollectionQuery {
  select: string[]
  top: number
  count: boolean
  cast: boolean
  skipToken?: string
  /** Ascending by display name. */
  ordered: boolean
  search?: string
  filter?: Filter
}

export interface Filter {
  property: string
  operator: 'eq' | 'startswith'
  value: string | boolean
}

const DEFAULT_PAGE = 100
const MAX_PAGE = 999

export const readSelect = (value: string | undefined) =>
  value?.split(',').map((name) => name.trim()).filter(Boolean) ?? []

function readTop(value: string | undefined) {
  if (value === undefined) return DEFAULT_PAGE
  if (!/^\d+$/.test(value) || Number(value) < 1 || Number(value) > MAX_PAGE) {
    throw unsupportedQuery(`Invalid page size specified: '${value}'. Must be between 1 and ${MAX_PAGE} inclusive.`)
  }
  return Number(value)
}

function readFilter(value: string): Filter {
  const equality = /^(\w+) eq (?:'([^']*)'|(true|false))$/.exec(value)
  if (equality) return { property: equality[1] ?? '', operator: 'eq', value: equality[2] ?? equality[3] === 'true' }
  const prefix = /^startswith\((\w+), ?'([^']*)'\)$/.exec(value)
  if (prefix) return { property: prefix[1] ?? '', operator: 'startswith', value: prefix[2] ?? '' }
  throw unsupportedQuery('Unsupported Query.')
}

const known = new Set(['$select', '$top', '$count', '$skiptoken', '$filter', '$search', '$orderby'])

/** `type` is the last path segment where the collection is cast. */
export function readCollectionQuery(
  query: Record<string, unknown>,
  consistencyLevel: unknown,
  type?: string,
): CollectionQuery {
  for (const [name, value] of Object.entries(query)) {
    if (name.startsWith('$') && !known.has(name)) throw badRequest(`The query parameter '${name}' is not supported.`)
    if (Array.isArray(value)) {
      throw badRequest(`Query option '${name}' was specified more than once, but it must be specified at most once.`)
    }
  }
  if (type !== undefined && !/^(microsoft\.)?graph\.group$/.test(type)) {
    throw badRequest(`Resource not found for the segment '${type}'.`)
  }
  const { $select, $top, $count, $skiptoken, $filter, $search, $orderby } = query as Record<string, string | undefined>
  const eventual = String(consistencyLevel ?? '').toLowerCase() === 'eventual'
  const count = eventual && $count === 'true'
  const advanced = type !== undefined || [$filter, $search, $orderby].some((value) => value !== undefined)
  if (advanced && !count) {
    throw unsupportedQuery('Request_UnsupportedQuery: this query needs ConsistencyLevel: eventual and $count=true.')
  }
  if ($orderby !== undefined && !/^displayName( asc)?$/.test($orderby)) throw unsupportedQuery('Sort not supported.')
  const search = $search === undefined ? undefined : /^"displayName:(.+)"$/.exec($search)?.[1]
  if ($search !== undefined && search === undefined) throw unsupportedQuery('Invalid search request.')
  return {
    select: readSelect($select),
    top: readTop($top),
    count,
    cast: type !== undefined,
    ordered: $orderby !== undefined,
    ...($skiptoken !== undefined && { skipToken: $skiptoken }),
    ...(search !== undefined && { search }),
    ...($filter !== undefined && { filter: readFilter($filter) }),
  }
}
