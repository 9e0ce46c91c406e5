// Which chains of delta requests there are: one for users, and as many for groups as it takes to follow the mapped
// groups and the groups inside them.
import { randomUUID } from 'node:crypto'
import type { DeltaChain } from '../core/change-signals.js'
import { MAX_GROUPS_IN_CHAIN, type DeltaLinks } from './delta-link.js'

/** Groups that are followed; users of the others are re-evaluated as without deltas. */
export const MAX_FOLLOWED_GROUPS = 1_000
/** Chains above the number that is needed: groups that are added one by one begin a chain each. */
const SPARE_CHAINS = 8

export interface Plan {
  readonly chains: readonly DeltaChain[]
  readonly notFollowed: number
}

export function planChains(
  chains: readonly DeltaChain[],
  mapped: readonly string[],
  links: DeltaLinks,
  paused: ReadonlySet<string> = new Set(),
): Plan {
  const { groups, notFollowed } = followedGroups(chains, mapped)
  const added = new Set(chains.flatMap((chain) => chain.added))
  const kept = withoutRedundant(chains.filter(({ kind }) => kind === 'groups'), groups)
  const missing = missingGroups(kept, groups, paused)
  const users = chains.find(({ kind }) => kind === 'users') ?? newChain('users', [], false, links)
  return {
    chains: [
      ...kept.map((chain) => chain.added.length === 0 ? chain : { ...chain, added: [] }),
      ...portions(missing.filter((id) => added.has(id))).map((ids) => newChain('groups', ids, true, links)),
      ...portions(missing.filter((id) => !added.has(id))).map((ids) => newChain('groups', ids, false, links)),
      users,
    ].sort((a, b) => order(chains, a) - order(chains, b)),
    notFollowed,
  }
}

/** The chain as it begins. The groups inside its own stay followed until it was read completely. */
export function restarted({ id, kind, groupIds, nested, former }: DeltaChain, links: DeltaLinks): DeltaChain {
  const kept = groupIds.map((group) => [group, [...new Set([...former[group] ?? [], ...nested[group] ?? []])]] as const)
  const inside = Object.fromEntries(kept.filter(([, groups]) => groups.length > 0))
  return { ...newChain(kind, groupIds, false, links), id, former: inside } // guard: sync-nested-kept
}

function newChain(
  kind: DeltaChain['kind'],
  groupIds: readonly string[],
  announced: boolean,
  links: DeltaLinks,
): DeltaChain {
  const link = kind === 'users' ? links.users[0] ?? '' : links.groups(groupIds)
  return {
    id: randomUUID(),
    kind,
    groupIds,
    nested: {},
    former: {},
    added: [],
    link,
    following: false,
    announced,
    pages: 0,
  }
}

/** The mapped groups and all below them, nearest first. A cycle ends because each group is visited once. */
function followedGroups(chains: readonly DeltaChain[], mapped: readonly string[]) {
  const nested = new Map<string, readonly string[]>()
  for (const chain of chains) {
    for (const [id, groups] of [...Object.entries(chain.nested), ...Object.entries(chain.former)]) {
      nested.set(id, [...nested.get(id) ?? [], ...groups])
    }
  }
  const reached = new Set(mapped)
  for (const id of reached) for (const group of nested.get(id) ?? []) reached.add(group) // guard: delta-nested
  const groups = new Set([...reached].slice(0, MAX_FOLLOWED_GROUPS)) // guard: delta-groups-bounded
  return { groups, notFollowed: reached.size - groups.size }
}

/** Leaves out chains without any followed group, and those whose groups larger chains follow already. */
function withoutRedundant(chains: readonly DeltaChain[], groups: ReadonlySet<string>): readonly DeltaChain[] {
  const covered = new Set<string>()
  const kept = new Set<DeltaChain>()
  for (const chain of [...chains].sort((a, b) => b.groupIds.length - a.groupIds.length)) {
    const own = chain.groupIds.filter((id) => groups.has(id) && !covered.has(id))
    if (own.length === 0) continue
    kept.add(chain)
    // a chain that is still being read does not replace one that is followed
    if (chain.following) { for (const id of own) covered.add(id) // guard: delta-no-gap
     }
  }
  return chains.filter((chain) => kept.has(chain))
}

/** Groups that no chain has; where there are far too many chains, also those of small ones, to be put together. */
function missingGroups(
  chains: readonly DeltaChain[],
  groups: ReadonlySet<string>,
  paused: ReadonlySet<string>,
): readonly string[] {
  const tooMany = chains.length > Math.ceil(groups.size / MAX_GROUPS_IN_CHAIN) + SPARE_CHAINS
  const pending = chains.some(({ id, following }) => !following && !paused.has(id)) // guard: sync-paused-not-pending
  const stay = tooMany && !pending
    ? chains.filter(({ id, groupIds }) => paused.has(id) || groupIds.length > MAX_GROUPS_IN_CHAIN / 2)
    : chains
  const present = new Set(stay.flatMap(({ groupIds }) => groupIds))
  return [...groups].filter((id) => !present.has(id))
}

function portions(ids: readonly string[]): readonly (readonly string[])[] {
  return Array.from(
    { length: Math.ceil(ids.length / MAX_GROUPS_IN_CHAIN) },
    (_, index) => ids.slice(index * MAX_GROUPS_IN_CHAIN, (index + 1) * MAX_GROUPS_IN_CHAIN),
  )
}

/** The order of the last reads; new chains last. */
function order(chains: readonly DeltaChain[], { id }: DeltaChain): number {
  const index = chains.findIndex((chain) => chain.id === id)
  return index === -1 ? chains.length : index
}
