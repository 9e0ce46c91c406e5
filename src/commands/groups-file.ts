// The file of `groups apply` and `groups export`: YAML, under version control.
import { stringify } from 'yaml'
import { GatehouseError } from '../core/errors.js'
import type { GroupView } from '../core/groups.js'
import type { GroupDefinition } from '../store/groups.js'
import { keys, listOf, readCheckedFile, text } from './checked-file.js'

const judgeFile = keys({
  groups: listOf(keys({ name: text }, { description: text, permissions: listOf(text) })),
})

/** @throws `file_unreadable` with the place of every problem */
export function readGroupsFile(file: string): readonly GroupDefinition[] {
  const remedy = 'It is a list like: groups: [{ name: Network Engineers, permissions: [netbox.view] }]'
  const { value } = readCheckedFile(file, judgeFile, remedy)
  const { groups } = value as { groups: GroupDefinition[] }
  const doubled = groups.find((group, index) => groups.findIndex((other) => other.name === group.name) < index)
  if (doubled) {
    throw new GatehouseError('file_unreadable', {
      detail: `${file}: the group ${doubled.name} is there twice`,
      remedy: 'Keep one of them.',
    })
  }
  return groups
}

export function formatGroupsFile(groups: readonly GroupView[]): string {
  return stringify({
    groups: groups.map(({ name, description, permissions }) => ({
      name,
      ...(description === '' ? {} : { description }),
      ...(permissions.length === 0 ? {} : { permissions: [...permissions] }),
    })),
  })
}
