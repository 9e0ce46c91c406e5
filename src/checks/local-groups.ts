// Every local group that the mapping names exists: a login skips groups that do not.
import { shownNames, type MappingRow } from '../core/mapping.js'
import { failure, type Check, type Finding } from './finding.js'

export interface LocalGroupsOptions {
  readonly mapping: readonly Pick<MappingRow, 'groups'>[]
  /** The same rows for people to read. */
  readonly shown?: readonly Pick<MappingRow, 'groups'>[]
  /** The names of the existing local groups. */
  readonly existing: () => Promise<readonly string[]>
  readonly nearest: (name: string, known: readonly string[]) => string | undefined
}

export function localGroupsExist({ mapping, shown = mapping, existing, nearest }: LocalGroupsOptions): Check {
  return async () => {
    const named = new Map(
      mapping.flatMap(({ groups }, row) =>
        groups.map((name, index) => [name, `groupMapping[${row}].groups[${index}]`] as const)
      ).reverse(),
    )
    if (named.size === 0) return []
    try {
      const textOf = shownNames(mapping, shown)
      const there = await existing()
      const missing = [...named].reverse().filter(([name]) => !there.includes(name)) // guard: missing-group-checked
      return missing.length === 0
        ? [{ state: 'ok', code: 'groups_exist', message: 'every mapped local group exists' }]
        : missing.map(([name, path]) => missingGroup(textOf(name), path, nearest(name, there)))
    } catch (error) {
      return [failure(error, 'skipped', 'whether the mapped local groups exist was not checked: ')]
    }
  }
}

function missingGroup(name: string, path: string, meant: string | undefined): Finding {
  const add = `gatehouse groups add ${JSON.stringify(name)}`
  return {
    state: 'warn',
    code: 'group_missing',
    path,
    message: `${path} ${JSON.stringify(name)} is not a local group: logins skip it.`,
    remedy: meant === undefined
      ? add
      : `Did you mean ${JSON.stringify(meant)}? Names are compared exactly. If not: ${add}`,
  }
}
