// Which users and groups the objects of a delta query mean, and which groups are inside the followed ones from now on.
import type { DeltaChain } from '../core/change-signals.js'
import type { ChangedMember, ChangedObject } from './delta-page.js'

export interface Signals {
  /** Object IDs of accounts. */
  readonly users: Set<string>
  /** Object IDs of groups whose members are meant, whatever their number. */
  readonly groups: Set<string>
}

/** Groups inside the groups of one chain: more than are followed altogether. */
const MAX_NESTED = 2_000

/** Adds to the signals. @returns the chain with the groups that are nested in its own */
export function applyChanges(signals: Signals, chain: DeltaChain, objects: readonly ChangedObject[]): DeltaChain {
  if (chain.kind === 'users') {
    // the first read lists what exists
    if (chain.following) { for (const { id } of objects) signals.users.add(id) }
    return chain
  }
  const own = new Set(chain.groupIds)
  const nested = new Map(Object.entries(chain.nested).map(([id, groups]) => [id, new Set(groups)]))
  const added = new Set(chain.added)
  for (const { id, removed, members } of objects) {
    if (!own.has(id)) continue // guard: delta-own-groups
    if (removed && chain.following) signals.groups.add(id) // guard: delta-group-deleted
    const groups = removed ? new Set<string>() : nested.get(id) ?? new Set()
    for (const member of members) applyMember(signals, chain, member, { groups, added })
    nested.set(id, new Set([...groups].slice(0, MAX_NESTED)))
  }
  return {
    ...chain,
    nested: Object.fromEntries([...nested].map(([id, groups]) => [id, [...groups]])),
    added: [...added].slice(0, MAX_NESTED),
  }
}

interface Inside {
  readonly groups: Set<string>
  readonly added: Set<string>
}

function applyMember(
  { users, groups }: Signals,
  { following, announced }: DeltaChain,
  { id, type, removed }: ChangedMember,
  inside: Inside,
): void {
  const changed = following || (announced && !removed) // guard: delta-first-read
  if (changed && (type === 'user' || type === 'unknown')) users.add(id)
  if (type !== 'group' && type !== 'unknown') return
  if (changed) groups.add(id) // guard: delta-nested-changed
  if (type !== 'group') return
  if (removed) {
    inside.groups.delete(id)
    return
  }
  if (changed && !inside.groups.has(id)) inside.added.add(id)
  inside.groups.add(id)
}
