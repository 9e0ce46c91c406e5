// memberOf and transitiveMemberOf: one page of a collection of directory objects, with a nextLink while there is more.
import type { DirectoryObject } from '../../directory.js'
import type { PageFault, PageInfo } from '../faults.js'
import type { World } from '../types.js'
import { mayReadDetails, mayReadHidden, type Caller } from './access.js'
import { badRequest, expiredPageToken } from './errors.js'
import type { PageTokens, Position } from './page-token.js'
import type { CollectionQuery, Filter } from './query.js'
import { objectProperties, odataType, type Properties } from './render.js'

export interface CollectionRequest {
  caller: Caller
  ids: readonly string[]
  query: CollectionQuery
  /** Path of the collection without query. */
  path: string
  /** Of the request, without `$skiptoken`; repeated on the nextLink. */
  parameters: [string, string][]
  /** `Accept: application/json;odata.metadata=none` was sent. */
  untyped: boolean
}

export interface Collection {
  position: Position
  info: PageInfo
  found: readonly DirectoryObject[]
}

export function locate(world: World, tokens: PageTokens, { caller, ids, query, path }: CollectionRequest): Collection {
  const hidden = mayReadHidden(caller)
  const found = search(world, ids, query).filter(({ visibility }) => hidden || visibility !== 'HiddenMembership')
  const position = query.skipToken === undefined
    ? { offset: 0, page: 1 }
    : tokens.read(query.skipToken, path, world.now())
  if (!position) throw expiredPageToken()
  return { position, found, info: { number: position.page, last: position.offset + query.top >= found.length } }
}

function search({ directory }: World, ids: readonly string[], query: CollectionQuery): DirectoryObject[] {
  const objects: DirectoryObject[] = []
  for (const id of ids) {
    const object = directory.objects.get(id)
    if (object && (!query.cast || object.type === 'group') && matches(object, query)) objects.push(object)
  }
  return query.ordered ? objects.sort((a, b) => a.displayName.localeCompare(b.displayName)) : objects
}

function matches(object: DirectoryObject, { search, filter }: CollectionQuery) {
  if (search !== undefined && !object.displayName.toLowerCase().includes(search.toLowerCase())) return false
  return filter === undefined || passes(objectProperties(object, true)[filter.property], filter)
}

function passes(actual: unknown, { operator, value }: Filter) {
  if (operator === 'eq') return actual === value
  return typeof actual === 'string' && actual.toLowerCase().startsWith(String(value).toLowerCase())
}

export function renderPage(
  world: World,
  tokens: PageTokens,
  request: CollectionRequest,
  { position, found, info }: Collection,
  faults: readonly PageFault[],
) {
  const { query } = request
  if (faults.some(({ kind }) => kind === 'expiredPageToken')) throw expiredPageToken()
  const end = faults.some(({ kind }) => kind === 'emptyPage') ? position.offset : position.offset + query.top
  const more = !info.last || faults.length > 0
  const selected = query.select.length > 0 ? `(${query.select.join(',')})` : ''
  return {
    '@odata.context': `${world.graphUrl}/v1.0/$metadata#${query.cast ? 'groups' : 'directoryObjects'}${selected}`,
    ...(query.count && position.page === 1 && { '@odata.count': found.length }),
    ...(more &&
      {
        '@odata.nextLink': nextLink(world, tokens, request, position, { offset: end, page: position.page + 1 }, faults),
      }),
    value: found.slice(position.offset, end).map((object) => element(world, request, object)),
  }
}

function nextLink(
  world: World,
  tokens: PageTokens,
  { path, parameters, query }: CollectionRequest,
  here: Position,
  next: Position,
  faults: readonly PageFault[],
) {
  const foreign = faults.find((fault) => fault.kind === 'foreignNextLink')
  const loops = faults.some(({ kind }) => kind === 'loopingNextLink')
  const kept = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%2C', ',')}`)
  // A loop leads back to this page, with the same token.
  const token = loops ? query.skipToken ?? tokens.write(here, path, world.now()) : tokens.write(next, path, world.now())
  return `${foreign?.origin ?? world.graphUrl}${path}?${[...kept, `$skiptoken=${token}`].join('&')}`
}

function element(world: World, { caller, query, untyped }: CollectionRequest, object: DirectoryObject): Properties {
  const all = objectProperties(object, mayReadDetails(world, caller, object.type))
  const properties = query.select.length === 0 ? all : pick(all, object, query.select)
  // A cast collection has one type, so its elements do not repeat it.
  return query.cast || untyped ? properties : { '@odata.type': odataType(object), ...properties }
}

function pick(all: Properties, object: DirectoryObject, names: readonly string[]) {
  const possible = objectProperties(object, true)
  const unknown = names.find((name) => !(name in possible) && object.type === 'group')
  if (unknown !== undefined) {
    throw badRequest(
      `Parsing OData Select and Expand failed: Could not find a property named '${unknown}' on type ` +
        "'microsoft.graph.directoryObject'.",
    )
  }
  return Object.fromEntries(names.filter((name) => name in possible).map((name) => [name, all[name] ?? null]))
}
