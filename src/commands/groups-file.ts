// Reads the file of `groups apply` (src/admin/groups-file.ts).
import { parseGroupsFile } from '../admin/groups-file.js'
import type { GroupDefinition } from '../core/group-definitions.js'
import { readTextFile } from './text-file.js'

/** @throws GatehouseError `file_unreadable` with the place of every problem */
export function readGroupsFile(file: string): readonly GroupDefinition[] {
  return parseGroupsFile(readTextFile(file), file)
}
