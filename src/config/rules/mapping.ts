// The mapping: one row for each Entra group, names that fit into a header, and the traps that lock people out.
import { fold } from '../nearest.js'
import type { Report } from '../report.js'
import { entries, type Rule } from './rule.js'

export const oneRowPerGroup: Rule = ({ groupMapping }, report) => {
  const first = new Map<string, string>()
  for (const { item, path } of entries(groupMapping, 'groupMapping')) {
    if (item.entraGroup === undefined) continue
    const at = `${path}.entraGroup`
    const earlier = first.get(item.entraGroup) // guard: rows-once
    if (earlier === undefined) first.set(item.entraGroup, at)
    else {
      report.problem(
        at,
        'mapping_duplicate',
        `${at} is the same Entra group as ${earlier} on line ${report.positionOf(earlier).line}.`,
        'Put all that the group grants into one row; ids are compared without regard to case.',
      )
    }
  }
}

export const groupsOncePerRow: Rule = ({ groupMapping }, report) => {
  for (const row of entries(groupMapping, 'groupMapping')) {
    const first = new Map<string, string>()
    for (const { item, path } of entries(row.item.groups, `${row.path}.groups`)) {
      const earlier = first.get(item)
      if (earlier === undefined) first.set(item, path)
      else {
        report.problem(
          path,
          'group_repeated',
          `${path} ${JSON.stringify(report.textOf(path, item))} is in this row already, as ${earlier}.`,
          'Take one of the two away; perhaps another group was meant.',
        )
      }
    }
  }
}

/** Every place where a local group is named. */
function groupNames(draft: Parameters<Rule>[0]): { readonly item: string, readonly path: string }[] {
  const allowed = entries(draft.access?.rules, 'access.rules').flatMap(({ item: { allow }, path }) =>
    typeof allow === 'object' ? entries(allow.groups, `${path}.allow.groups`) : []
  )
  return [
    ...entries(draft.groupMapping, 'groupMapping').flatMap(({ item, path }) => entries(item.groups, `${path}.groups`)),
    ...entries(draft.defaultGroups, 'defaultGroups'),
    ...allowed,
  ]
}

export const separatorsInNames: Rule = (draft, report) => {
  const separators = new Set([
    ',',
    ...entries(draft.headers?.extra, 'headers.extra').flatMap(({ item: { separator, value } }) =>
      separator !== undefined && value === 'groups' ? [separator] : []
    ),
  ])
  for (const { item, path } of groupNames(draft)) {
    const found = [...separators].find((separator) => item.includes(separator))
    if (found !== undefined) {
      report.problem(
        path,
        'group_name_separator',
        `${path} ${JSON.stringify(report.textOf(path, item))} holds ${
          JSON.stringify(found)
        }, which stands between groups in a header.`,
        found === ','
          ? 'Rename the local group: an application would read two groups.'
          : 'Rename the local group, or choose another separator in headers.extra.',
      )
    }
  }
}

export const namesAlike: Rule = (draft, report) => {
  const first = new Map<string, { item: string, path: string }>()
  const reported = new Set<string>()
  const shown = ({ path, item }: { readonly path: string, readonly item: string }) =>
    JSON.stringify(report.textOf(path, item))
  for (const name of groupNames(draft)) {
    const earlier = first.get(fold(name.item))
    if (!earlier) first.set(fold(name.item), name)
    else if (earlier.item !== name.item && !reported.has(name.item)) {
      reported.add(name.item)
      report.warn(
        name.path,
        'group_names_alike',
        `${name.path} ${shown(name)} is nearly ${shown(earlier)} on line ${report.positionOf(earlier.path).line}.`,
        'Names are compared exactly: if one group is meant, write it the same way.',
      )
    }
  }
}

export const mappingLint: Rule = ({ groupMapping }, report) => {
  if (groupMapping === undefined || report.refused('groupMapping')) return
  const rows = entries(groupMapping, 'groupMapping')
  if (rows.length === 0) { // guard: empty-mapping-warned
    report.warn(
      'groupMapping',
      'mapping_empty',
      'groupMapping is empty: no user gets a group or a flag.',
      'Add a row for each Entra group that grants something.',
    )
    return
  }
  for (const { item, path } of rows) {
    if (item.entraGroup?.startsWith('00000000-0000-0000-0000-')) {
      report.warn(
        `${path}.entraGroup`,
        'placeholder',
        `${path}.entraGroup is still an id of the example.`,
        "Use the Object ID that the group's page in the Entra admin center shows.",
      )
    }
    if (item.groups?.length === 0 && !item.staff && !item.superuser) {
      report.warn(
        path,
        'mapping_row_empty',
        `${path} grants nothing.`,
        'Add groups, staff or superuser, or take the row away.',
      )
    }
    if (item.superuser && !item.staff) { // guard: superuser-without-staff-warned
      report.warn(
        path,
        'mapping_superuser_not_staff',
        `${path} makes superusers who are not staff.`,
        'Flags are independent: add staff: true if both are meant.',
      )
    }
  }
  if (!rows.some(({ item }) => item.superuser)) { // guard: no-superuser-warned
    report.warn(
      'groupMapping',
      'mapping_no_superuser',
      'No row of groupMapping makes a superuser.',
      'Add one, if an application behind Gatehouse needs a user with all permissions.',
      keyPlace(report),
    )
  }
}

function keyPlace(report: Report) {
  return report.keyPositionOf('groupMapping')
}

export const defaultGroupsLost: Rule = ({ defaultGroups, pipeline }, report) => {
  if (!defaultGroups?.length || !pipeline?.includes('azuread_map_groups')) return // guard: default-groups-warned
  report.warn(
    'defaultGroups',
    'default_groups_lost',
    'defaultGroups has no effect: azuread_map_groups runs later and replaces all memberships, as in NetBox.',
    'Map an Entra group that everybody is in, and take defaultGroups away.',
    report.keyPositionOf('defaultGroups'),
  )
}
