// How commands print the Entra groups that were read for a user, and the rows of the mapping that none of them hits.
import type { GroupRead, RowNotHit } from '../core/entra-groups.js'
import { GatehouseError } from '../core/errors.js'
import type { AppDirectory } from '../entra/app-directory.js'
import { print, printTable } from './context.js'

/** Entra ID is asked for the name of each, and a terminal is only so long. */
const MOST = 20

/** The first of them with the names that Entra ID has; without where Gatehouse may not read groups. */
export async function withNames(groups: readonly GroupRead[], directory: AppDirectory): Promise<GroupRead[]> {
  const named: GroupRead[] = []
  for (const [index, group] of groups.entries()) {
    const name = index < MOST ? await nameOf(group.entraGroup, directory) : undefined
    named.push(name === undefined ? group : { ...group, name })
  }
  return named
}

async function nameOf(id: string, directory: AppDirectory): Promise<string | undefined> {
  try {
    return (await directory.group(id))?.displayName ?? undefined
  } catch (error) {
    if (error instanceof GatehouseError) return undefined // the ids are worth printing without
    throw error
  }
}

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
