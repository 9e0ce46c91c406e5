// What acts on local groups have in common: where the configuration names a group, and how a change is recorded.
import type { AccessRule } from '../../core/access.js'
import { GatehouseError } from '../../core/errors.js'
import type { GroupChange, NameSeparator } from '../../core/group-definitions.js'
import type { GroupView } from '../../core/groups.js'
import type { MappingRow } from '../../core/mapping.js'
import type { ActDone } from './perform.js'

/** What of the configuration in force names groups, or decides about their names. */
export interface GroupPolicy {
  readonly mapping: readonly MappingRow[]
  readonly rules: readonly AccessRule[]
  readonly defaultGroups: readonly string[]
  readonly separators: readonly NameSeparator[]
}

/** Where the configuration names a group. */
export interface NamedBy {
  /** Rows of the mapping, counted from 1. */
  readonly mappingRows: readonly number[]
  /** Access rules, such as `access.rules[2]`. */
  readonly rules: readonly string[]
}

/** What an edit of a group must have seen. */
export function groupVersion({ name, description, permissions }: Omit<GroupView, 'members'>): unknown {
  return [name, description, permissions]
}

/** Whether a sign-in gives a group of this name to anybody. */
export function isGranted(name: string, { mapping, defaultGroups }: GroupPolicy): boolean {
  return defaultGroups.includes(name) || mapping.some(({ groups }) => groups.includes(name))
}

export function namedBy(name: string, { mapping, rules }: GroupPolicy): NamedBy {
  return {
    mappingRows: mapping.flatMap(({ groups }, index) => groups.includes(name) ? [index + 1] : []),
    rules: rules.flatMap(({ allow }, index) =>
      typeof allow !== 'string' && allow.groups.includes(name) ? [`access.rules[${index}]`] : []
    ),
  }
}

/** Its members would lose what it gives immediately, and sign-ins would warn. @throws GatehouseError `group_mapped` */
export function requireUnnamed(name: string, { mappingRows, rules }: NamedBy): void {
  const places = [...mappingRows.length > 0 ? [`groupMapping, row ${mappingRows.join(', ')}`] : [], ...rules]
  if (places.length === 0) return
  throw new GatehouseError('group_mapped', {
    detail: `${name} is named in ${places.join(' and ')}`,
    remedy: 'Take it out of there first, or use --force.',
    sentence: `The group is named in ${places.join(' and ')}.`,
  })
}

export function groupExists(name: string): GatehouseError {
  return new GatehouseError('group_exists', {
    detail: `there is a group ${name} already`,
    sentence: `A group with the name ${name} exists already.`,
  })
}

/** Of the audit record. */
export function changeRow(change: Exclude<GroupChange['change'], 'added'>, group: string, value: string): ActDone {
  return { action: `group.${change.replace(' ', '.')}`, detail: { group, value } }
}
