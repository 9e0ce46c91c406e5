// How commands print the Entra groups that were read for a user, and the rows of the mapping that none of them hits.
import type { GroupRead, RowNotHit } from '../core/entra-groups.js'
import { print, printTable } from './context.js'

/** A terminal is only so long. */
const MOST = 20

export function printGroupsRead(groups: readonly GroupRead[], notHit: readonly RowNotHit[]): void {
  const shown = groups.slice(0, MOST)
  printTable(
    ['ENTRA GROUP READ', 'NAME', 'ROW'],
    shown.map(({ entraGroup, label, name, rows }) => [entraGroup, label ?? name ?? '', rows.join(', ') || 'none']),
    'No Entra group was read.',
  )
  if (groups.length > shown.length) print(`... and ${groups.length - shown.length} more: --json lists all of them.`)
  for (const { row, entraGroup, label } of notHit.slice(0, MOST)) {
    print(`Row ${row} is not hit: ${label === undefined ? '' : `${label}, `}${entraGroup}`)
  }
  if (notHit.length > MOST) print(`... nor are ${notHit.length - MOST} further rows: --json lists all of them.`)
}
