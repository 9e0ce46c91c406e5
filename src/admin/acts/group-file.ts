// Makes local groups as a file describes them: all of it or nothing.
import { requireWithinOwnRights } from '../../core/ceiling.js'
import { groupChanges, type GroupChange, type GroupDefinition } from '../../core/group-definitions.js'
import { requireVersion } from '../../core/version-tag.js'
import { changeRow, groupExists, groupVersion } from './group-policy.js'
import type { ActContext } from './perform.js'

export interface AppliedGroups {
  readonly dryRun: boolean
  readonly changes: readonly GroupChange[]
}

/** In the transaction of the act. @throws GatehouseError `version_stale`, `above_own_rights` */
export async function applyAll(
  definitions: readonly GroupDefinition[],
  dryRun: boolean,
  { unit, holder, acting, record }: ActContext,
): Promise<readonly GroupChange[]> {
  const existing = await unit.groups.all()
  requireVersion(acting.ifMatch, existing.map(groupVersion))
  const changes = groupChanges(definitions, existing)
  const permissions = changes.flatMap(({ change, value = '' }) => change === 'permission granted' ? [value] : [])
  requireWithinOwnRights(holder, { permissions }) // guard: act-groups-import-ceiling
  if (dryRun) return changes // guard: act-groups-dry-run
  const descriptions = new Map(definitions.map(({ name, description = '' }) => [name, description]))
  const ids = new Map(existing.map(({ name, id }) => [name, id]))
  for (const { name, change, value = '' } of changes) {
    if (change === 'added') {
      const id = await unit.groups.add(name, descriptions.get(name) ?? '')
      if (id === undefined) throw groupExists(name)
      ids.set(name, id)
      await record({ action: 'group.add', detail: { group: name } })
      continue
    }
    const id = ids.get(name) ?? ''
    if (change === 'description') await unit.groups.describe(id, value)
    else if (change === 'permission granted') await unit.groups.grant(id, value)
    else await unit.groups.revoke(id, value)
    await record(changeRow(change, name, value))
  }
  return changes
}
