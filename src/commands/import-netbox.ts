// `gatehouse import-netbox FILE`: NetBox's configuration as Gatehouse's, on standard output, with the local groups and
// NetBox's new settings as comments below it; what to know about it on standard error. The file is read, never
// executed, and no configuration of Gatehouse is needed.
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { formatProblem } from '../config/problem.js'
import { GatehouseError } from '../core/errors.js'
import { importNetbox as convert, refuseLarge, type NetboxImport } from '../netbox/import.js'
import { ImportRefused } from '../netbox/report.js'
import { commandProcess } from './command-process.js'
import { EXIT, printFile, printJson, type CommonOptions } from './context.js'

/** @throws `file_unreadable` */
export async function importNetbox(file: string, { json }: CommonOptions): Promise<number> {
  const { yaml, groups, netbox, problems, warnings } = read(file)
  if (json) printJson({ yaml, groups, netbox, problems, warnings })
  else {
    for (const problem of problems) complain(formatProblem(problem))
    for (const warning of warnings) complain(`warning: ${formatProblem(warning)}`)
    if (problems.length > 0) {
      complain(
        `\n${problems.length} ${
          problems.length === 1 ? 'problem' : 'problems'
        }: what is named above is missing from what is printed.`,
      )
    }
    printFile(yaml.trimEnd())
    printFile(asComment('groups.yaml, for: gatehouse groups apply groups.yaml', groups))
    printFile(asComment("NetBox's configuration.py from now on (docs/applications/netbox.md)", netbox))
  }
  return problems.length > 0 ? EXIT.failed : EXIT.ok
}

/** Below the configuration, so that the whole output is still one YAML file. `sed -n 's/^#| //p'` takes it out. */
function asComment(title: string, text: string): string {
  const lines = text.trimEnd().split('\n').map((line) => `#| ${line}`.trimEnd())
  return ['', `# ---- ${title}`, ...lines].join('\n')
}

function read(file: string): NetboxImport {
  try {
    return convert(bytesOf(file), file)
  } catch (cause) {
    if (!(cause instanceof ImportRefused)) throw cause
    throw new GatehouseError('file_unreadable', { cause, detail: cause.message, remedy: cause.remedy })
  }
}

function bytesOf(file: string): Uint8Array {
  let handle: number | undefined
  try {
    handle = openSync(file, 'r')
    refuseLarge(fstatSync(handle).size, file)
    return readFileSync(handle)
  } catch (cause) {
    if (cause instanceof ImportRefused) throw cause
    throw new GatehouseError('file_unreadable', {
      cause,
      detail: `${file} cannot be read: ${
        cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
      }`,
      remedy: 'Give the path of a file that this user may read.',
    })
  } finally {
    if (handle !== undefined) closeSync(handle)
  }
}

/** The file's words are quoted: they may not steer the terminal. */
function complain(text: string): void {
  commandProcess().stderr.write(`${text.split('\n').map((line) => line.replace(/[\p{Cc}\p{Cf}]/gu, '?')).join('\n')}\n`)
}
