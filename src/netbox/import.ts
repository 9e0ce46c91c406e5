// From the bytes of a file to YAML, with the problems and warnings about what differs.
import type { ConfigProblem } from '../config/problem.js'
import { isCloudTable, readCloudTable } from './cloud-table.js'
import { readNetboxSettings } from './netbox-settings.js'
import { createImportReport, ImportRefused } from './report.js'
import { toGroups } from './to-groups.js'
import { toNetboxBlock } from './to-netbox-block.js'
import { toYaml } from './to-yaml.js'

export const MAX_BYTES = 2 * 1024 * 1024

export interface NetboxImport {
  readonly yaml: string
  /** The file of `groups apply`: every local group that the mapping names. */
  readonly groups: string
  /** NetBox's new settings, in Python. */
  readonly netbox: string
  /** What is left out of the YAML. */
  readonly problems: readonly ConfigProblem[]
  /** What is different from NetBox, or must still be done. */
  readonly warnings: readonly ConfigProblem[]
}

/** @param file its name in messages; the ending distinguishes a table from Python. @throws ImportRefused */
export function importNetbox(bytes: Uint8Array, file: string): NetboxImport {
  const text = decode(bytes, file)
  const report = createImportReport(file)
  const imported = isCloudTable(text, file)
    ? readCloudTable(text, file, report)
    : readNetboxSettings(text, file, report)
  const files = { yaml: toYaml(imported), groups: toGroups(imported), netbox: toNetboxBlock(imported) }
  return { ...files, problems: inOrder(report.problems), warnings: inOrder(report.warnings) }
}

/** @throws ImportRefused */
export function refuseLarge(size: number, file: string): void {
  if (size > MAX_BYTES) {
    throw new ImportRefused(
      `${file} is larger than ${MAX_BYTES / 1024 / 1024} MB`,
      'No NetBox configuration is that large: give the file that defines SOCIAL_AUTH_PIPELINE_CONFIG.',
    )
  }
}

/** Line ends become those that the parser counts; columns stay as an editor shows them. */
function decode(bytes: Uint8Array, file: string): string {
  refuseLarge(bytes.byteLength, file)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes) // removes the BOM
  } catch {
    throw new ImportRefused(`${file} is not a text in UTF-8`, 'Save it as UTF-8.')
  }
  const zero = text.indexOf('\0')
  if (zero !== -1) {
    throw new ImportRefused(
      `${file} is not a text: it has a zero byte`,
      'Give a NetBox configuration, or the NetBox Cloud table as Markdown or CSV.',
    )
  }
  if (text.trim() === '') {
    throw new ImportRefused(
      `${file} is empty`,
      'Give a NetBox configuration, or the NetBox Cloud table as Markdown or CSV.',
    )
  }
  return text.replace(/\r\n?/g, '\n')
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...problems].sort((one, other) => one.line - other.line || one.column - other.column)
}
