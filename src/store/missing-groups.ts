// Mapped local groups that do not exist: a login skips them, so the log names them when the gateway starts.
import type { MappingRow } from '../core/mapping.js'
import type { Database } from './database.js'
import { createGroupsList } from './groups-list.js'

export async function warnOfMissingGroups(
  database: Database,
  mapping: readonly MappingRow[],
  log: { warn(facts: object, text: string): void },
): Promise<void> {
  const existing = new Set((await createGroupsList(database).all()).map((group) => group.name))
  for (const name of new Set(mapping.flatMap((row) => row.groups))) {
    if (!existing.has(name)) {
      log.warn(
        { group: name, remedy: `gatehouse groups add ${JSON.stringify(name)}` },
        `Azure AD group mapping - group not found locally: ${name}; logins will skip it`,
      )
    }
  }
}
