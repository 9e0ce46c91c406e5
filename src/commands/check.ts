// `gatehouse check`: every problem of the configuration at once, with its place and the remedy.
import { formatProblem } from '../config/load.js'
import { EXIT, print, printJson, readConfig, type CommonOptions } from './context.js'

export async function check(options: CommonOptions): Promise<number> {
  const { file, warnings, hash } = readConfig(options) // a ConfigError is printed by the caller
  if (options.json) printJson({ file, usable: true, hash, problems: [], warnings })
  else {
    for (const warning of warnings) print(`warning: ${formatProblem(warning)}`)
    print(`${file} is usable${warnings.length > 0 ? `, with ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}` : ''}.`)
  }
  return EXIT.ok
}
