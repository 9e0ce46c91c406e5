// The folders whose source is laid out and measured, and the files in them.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export const SOURCE_FOLDERS = ['src', 'test', 'bench', 'scripts', 'examples']
export const SOURCE = /\.(?:ts|mts|mjs|js)$/

/** @returns absolute paths in the order of their names; none where the folder does not exist */
export function sourceFiles(root, folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && SOURCE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
