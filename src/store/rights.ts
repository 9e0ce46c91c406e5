// A person's rights with their reasons, in the shape that pages show.
import { createGroupMapping, labelsOf, type Cause, type MappingRow } from '../core/mapping.js'
import type { GroupNotHeld, GrantReason, UserRights } from '../core/rights.js'
import type { PersonView } from '../core/people.js'
import type { LatestSnapshot } from './membership-snapshots.js'

/**
 * @param rows the mapping in force
 * @param reading the latest snapshot of Graph; undefined where there is none
 */
export function rightsOf(
  person: PersonView | undefined,
  rows: readonly MappingRow[],
  reading: LatestSnapshot | undefined,
): UserRights {
  const labels = labelsOf(rows)
  const reason = (cause: readonly Cause[] | null, since: string | null): GrantReason => ({
    entraGroups: [...new Set(cause?.map((each) => each.entraGroup))].map((id) => ({ id, label: labels.get(id) })),
    since,
  })
  const groups = (person?.groups ?? []).map(({ name, cause, since, until }) => ({
    name,
    reason: { ...reason(cause, since), until },
  }))
  const held = new Set(groups.map(({ name }) => name))
  const granted = createGroupMapping(rows).evaluate(reading?.entraGroupIds ?? []).groups
  const notHeld: GroupNotHeld[] = [...granted].filter(([name]) => !held.has(name)).map(([name, causes]) => ({
    name,
    missing: reading?.existing.includes(name) !== true,
    reason: reason(causes, null),
  }))
  return {
    groups,
    staff: person?.isStaff ? reason(person.staffCause, person.staffSince) : undefined,
    superuser: person?.isSuperuser ? reason(person.superuserCause, person.superuserSince) : undefined,
    notHeld,
    entraGroups: reading?.entraGroupIds.length,
  }
}
