// The local groups that the mapping names, as the file of `groups apply`. Each has the permission to reach NetBox;
// NetBox's own permissions decide what its members may do there.
import { stringify } from 'yaml'
import type { Imported } from './imported.js'

/** The permission that the printed access rule requires. */
export const VIEW_PERMISSION = 'netbox.view'

export function toGroups({ rows, defaultGroups = [] }: Imported): string {
  const mapped = rows.filter(({ refused }) => !refused).flatMap(({ groups }) => groups)
  const names = [...new Set([...mapped, ...defaultGroups])]
  const groups = names.map((name) => ({ name, permissions: [VIEW_PERMISSION] }))
  return stringify({ groups }, { lineWidth: 0, flowCollectionPadding: false })
}
