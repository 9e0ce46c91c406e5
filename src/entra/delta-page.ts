// The objects on one page of a delta query. A page with anything that is not understood is refused as a whole.
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { isRecord } from '../core/is-record.js'
import { REPORT } from './graph-errors.js'

export interface ChangedObject {
  /** Lower case. */
  readonly id: string
  /** The object was deleted. */
  readonly removed: boolean
  readonly members: readonly ChangedMember[]
}

export interface ChangedMember {
  /** Lower case. */
  readonly id: string
  /** `unknown`: Graph did not report it. */
  readonly type: 'user' | 'group' | 'other' | 'unknown'
  readonly removed: boolean
}

/** @throws GatehouseError `graph_malformed` */
export function changedObjects(page: Readonly<Record<string, unknown>>): readonly ChangedObject[] {
  if (!Array.isArray(page.value)) throw malformed('has no list of objects (`value`)') // guard: delta-list-required
  return (page.value as readonly unknown[]).map((item) => {
    const { fields, id, removed } = identified(item)
    const members = fields['members@delta'] ?? []
    if (!Array.isArray(members)) throw malformed('has members that are not a list')
    return { id, removed, members: (members as readonly unknown[]).map(changedMember) }
  })
}

function changedMember(item: unknown): ChangedMember {
  const { fields, id, removed } = identified(item)
  return { id, removed, type: typeOf(fields['@odata.type']) }
}

function typeOf(type: unknown): ChangedMember['type'] {
  if (type === undefined) return 'unknown'
  if (type === '#microsoft.graph.user') return 'user'
  return type === '#microsoft.graph.group' ? 'group' : 'other'
}

function identified(item: unknown) {
  const fields = isRecord(item) ? item : {}
  const { id, '@removed': removed } = fields
  // guard: delta-ids-checked
  if (typeof id !== 'string' || !isObjectId(id)) throw malformed('has an object without an object ID')
  return { fields, id: id.toLowerCase(), removed: removed !== undefined && removed !== null }
}

function malformed(detail: string): GatehouseError {
  return new GatehouseError('graph_malformed', { detail: `a page of a delta query ${detail}`, remedy: REPORT })
}
