// The local groups that the mapping names, as the file of `groups apply`. Each may look at NetBox: what more it may do
// there, NetBox's own permissions say.
import { stringify } from 'yaml'
import type { Imported } from './imported.js'

/** What the printed access rule asks for. */
export const VIEW_PERMISSION = 'netbox.view'

export function toGroups({ rows, defaultGroups = [] }: Imported): string {
  const mapped = rows.filter(({ refused }) => !refused).flatMap(({ groups }) => groups)
  const names = [...new Set([...mapped, ...defaultGroups])]
  const groups = names.map((name) => ({ name, permissions: [VIEW_PERMISSION] }))
  return stringify({ groups }, { lineWidth: 0, flowCollectionPadding: false })
}
