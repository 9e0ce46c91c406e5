// Which of the local groups that the mapping names exist.
import type { LocalGroups } from '../core/policy.js'

/** Without names the database is not asked. */
export async function existingGroups(
  localGroups: LocalGroups,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  return new Set(names.length === 0 ? [] : (await localGroups.named(names)).map(({ name }) => name))
}
