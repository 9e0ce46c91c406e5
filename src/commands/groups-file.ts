// Reads the file of `groups apply` (src/admin/groups-file.ts).
import { readFileSync } from 'node:fs'
import { parseGroupsFile } from '../admin/groups-file.js'
import { GatehouseError } from '../core/errors.js'
import type { GroupDefinition } from '../core/group-definitions.js'

/** @throws GatehouseError `file_unreadable` with the place of every problem */
export function readGroupsFile(file: string): readonly GroupDefinition[] {
  return parseGroupsFile(readText(file), file)
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatehouseError('file_unreadable', {
      cause,
      detail: `${file} cannot be read: ${
        cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
      }`,
      remedy: 'Give the path of a file that this user may read.',
    })
  }
}
