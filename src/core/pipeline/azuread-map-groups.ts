// azuread_map_groups: completes the plan with the memberships and flags that the mapping grants, replacing all others.
// A mapped local group that does not exist is skipped and named; it is never made here.
import type { MappedGrants, StepContext } from './pipeline.js'

/**
 * What it looks at; nothing of the login, so that a re-evaluation without one (core/reevaluation.ts) applies the same.
 */
export type MappingContext = Pick<StepContext, 'groupIds'> & {
  readonly settings: Pick<StepContext['settings'], 'mapping'>
  readonly lookups: Pick<StepContext['lookups'], 'groupIds'>
}

export async function azureadMapGroups(
  { groupIds, settings, lookups }: MappingContext,
): Promise<{ grants: MappedGrants }> {
  const granted = settings.mapping.evaluate(groupIds) // guard: default-groups-wiped
  const ids = await lookups.groupIds([...granted.groups.keys()])
  const groups: { id: string, name: string, causes: NonNullable<ReturnType<typeof granted.groups.get>> }[] = []
  const missing: string[] = []
  for (const [name, causes] of granted.groups) {
    const id = ids.get(name)
    if (id === undefined) missing.push(name) // guard: missing-group-named
    else groups.push({ id, name, causes }) // guard: group-granted
  }
  return { grants: { groups, missing, staff: granted.staff, superuser: granted.superuser } }
}
