// /users/delta and /groups/delta: first all objects, then what has changed since a token, page by page. A token stands
// for the state that the caller knows; the changes are the differences from the state of now, so that every way of
// changing the directory counts.
import type { World } from '../types.js'
import { mayReadHidden, requireDelta, type Caller } from './access.js'
import { createDeltaTokens } from './delta-token.js'
import { readDeltaQuery, type DeltaKind, type DeltaQuery, type DeltaScope } from './delta-query.js'
import { badRequest, expiredPageToken, ResyncRequired } from './errors.js'
import { objectProperties, userProperties, type Properties } from './render.js'

/** One object as a caller knows it: its tracked properties as JSON, and its members. */
interface Known {
  readonly properties: string
  readonly members: ReadonlySet<string>
}
type State = ReadonlyMap<string, Known>

interface Round {
  readonly scope: DeltaScope
  /** Of the answer under way. */
  readonly items: readonly Properties[]
  readonly offset: number
  /** What the caller knows when the round is over, and what it knew before. */
  readonly next: State
  readonly before: State
}

/** What a `$deltatoken` stands for. */
interface Baseline {
  readonly scope: DeltaScope
  readonly state: State
  /** Changes since then are repeated where the simulator replays. */
  readonly older: State
}

const NOTHING: State = new Map()

export function createDelta(world: World) {
  const { delta: { pageSize, tokenLifetimeMs, replays } } = world
  const baselines = createDeltaTokens<Baseline>(tokenLifetimeMs)
  const rounds = createDeltaTokens<Round>(world.pageTokenLifetime)

  const start = (caller: Caller, scope: DeltaScope, fromNow: boolean): Round => {
    requireTracked(world, scope)
    const next = stateOf(world, scope, caller)
    return { scope, items: fromNow ? [] : differences(world, scope, NOTHING, next), offset: 0, next, before: next }
  }
  const resume = (kind: DeltaKind, caller: Caller, token: string): Round => {
    const known = baselines.read(token, kind, world.now())
    if (!known) throw new ResyncRequired(`${world.graphUrl}/v1.0/${kind}/delta?$deltatoken=`)
    const { scope, state, older } = known
    const now = stateOf(world, scope, caller)
    const items = differences(world, scope, replays ? older : state, now)
    return { scope, items, offset: 0, next: items.length === 0 ? state : now, before: state }
  }
  const begin = (kind: DeltaKind, caller: Caller, query: DeltaQuery): Round | undefined => {
    if ('skipToken' in query) return rounds.read(query.skipToken, kind, world.now())
    return 'start' in query
      ? start(caller, query.start, query.fromNow)
      : resume(kind, caller, query.deltaToken)
  }
  return (kind: DeltaKind, caller: Caller, parameters: Readonly<Record<string, unknown>>) => {
    requireDelta(caller, kind)
    const round = begin(kind, caller, readDeltaQuery(kind, parameters))
    if (!round) throw expiredPageToken()
    const { items, offset } = round
    const end = offset + pageSize
    const link = `${world.graphUrl}/v1.0/${kind}/delta?`
    return {
      '@odata.context': `${world.graphUrl}/v1.0/$metadata#${kind}`,
      ...(end < items.length
        ? { '@odata.nextLink': `${link}$skiptoken=${rounds.write({ ...round, offset: end }, kind, world.now())}` }
        : { '@odata.deltaLink': `${link}$deltatoken=${baselines.write(after(round), kind, world.now())}` }),
      value: merged(items.slice(offset, end)),
    }
  }
}

const after = ({ scope, next, before }: Round): Baseline => ({ scope, state: next, older: before })

function requireTracked({ delta: { untracked } }: World, { kind, select }: DeltaScope) {
  const refused = kind === 'users' ? select.find((name) => untracked.includes(name)) : undefined
  if (refused !== undefined) throw badRequest(`$select is not supported for the property '${refused}' with delta.`)
}

function stateOf(world: World, { kind, select, ids }: DeltaScope, caller: Caller): State {
  const { users, objects } = world.directory
  const wanted = ids ?? [...kind === 'users' ? users.keys() : objects.keys()]
  const state = new Map<string, Known>()
  for (const id of wanted) {
    const properties = kind === 'users' ? userState(world, id, select) : groupState(world, id, select)
    if (properties === undefined) continue
    const members = kind === 'groups' && (select.length === 0 || select.includes('members'))
      ? membersOf(world, id, caller)
      : []
    state.set(id, { properties: JSON.stringify(properties), members: new Set(members) })
  }
  return state
}

function userState({ directory }: World, id: string, select: readonly string[]): Properties | undefined {
  const user = directory.users.get(id)
  if (!user) return undefined
  const properties = userProperties(user, select)
  if (!properties) throw badRequest('Parsing OData Select and Expand failed: Could not find a selected property.')
  return properties
}

function groupState({ directory }: World, id: string, select: readonly string[]): Properties | undefined {
  const group = directory.objects.get(id)
  if (group?.type !== 'group') return undefined
  const all = objectProperties(group, true)
  const names = select.length === 0 ? Object.keys(all) : select.filter((name) => name !== 'members')
  if (names.some((name) => !(name in all))) {
    throw badRequest('Parsing OData Select and Expand failed: Could not find a selected property.')
  }
  return Object.fromEntries(names.map((name) => [name, all[name]]))
}

function membersOf({ directory }: World, id: string, caller: Caller): readonly string[] {
  const hidden = directory.objects.get(id)?.visibility === 'HiddenMembership' && !mayReadHidden(caller)
  return hidden ? [] : directory.directMembersOf(id)
}

/** One item for each object, and one for each member: a page may end within a group. */
function differences(world: World, { select }: DeltaScope, before: State, next: State): Properties[] {
  const items: Properties[] = []
  for (const [id, known] of next) {
    const properties = select.includes('id') || select.length === 0 ? JSON.parse(known.properties) : selected(known)
    const old = before.get(id)
    if (old?.properties !== known.properties) items.push({ ...properties, id })
    for (const member of known.members) {
      if (!old?.members.has(member)) items.push(memberItem(world, properties, id, member, false))
    }
    for (const member of old?.members ?? []) {
      // deleted accounts do not appear here (microsoft-graph-docs-contrib issue 5855), only in /users/delta
      const exists = world.directory.users.has(member) || world.directory.objects.has(member)
      if (!known.members.has(member) && exists) items.push(memberItem(world, properties, id, member, true))
    }
  }
  for (const id of before.keys()) if (!next.has(id)) items.push({ id, '@removed': { reason: 'changed' } })
  return items
}

const selected = ({ properties }: Known): Properties => JSON.parse(properties) as Properties

function memberItem({ directory }: World, properties: Properties, id: string, member: string, removed: boolean) {
  const type = directory.users.has(member) ? 'user' : 'group'
  const change = {
    '@odata.type': `#microsoft.graph.${type}`,
    id: member,
    ...(removed && { '@removed': { reason: 'deleted' } }),
  }
  return { ...properties, id, 'members@delta': [change] }
}

/** Members of one group next to each other are one list. */
function merged(items: readonly Properties[]): Properties[] {
  const page: Properties[] = []
  for (const item of items) {
    const last = page.at(-1)
    const changes = item['members@delta'] as unknown[] | undefined
    if (last === undefined || last.id !== item.id || changes === undefined) page.push({ ...item })
    else last['members@delta'] = [...(last['members@delta'] as unknown[] | undefined) ?? [], ...changes]
  }
  return page
}
