// `gatehouse doctor`: checks everything that a login will need, before a person does, and says what to do about each.
import { createDoctorAdmin } from '../admin/doctor.js'
import { failure, notChecked } from '../checks/finding.js'
import type { Config } from '../config/config.js'
import type { LoadedConfig } from '../config/load.js'
import type { DiagnosisPart, DiagnosisResult } from '../core/diagnosis.js'
import { GatehouseError } from '../core/errors.js'
import { configurationResults, doctorParts } from '../doctor.js'
import { commandProcess } from './command-process.js'
import { EXIT, print, printJson, readConfig, readConfigInForce, type CommonOptions } from './context.js'

export async function doctor(options: CommonOptions): Promise<number> {
  const loaded = readConfig(options) // a ConfigError is printed by the caller
  const { file, warnings } = loaded
  const { config, parts } = await withPolicyInForce(loaded, options)
  const others = doctorParts({
    config: () => config,
    configuration: () => configurationResults(warnings, `${file} is right`),
    log: (line) => commandProcess().stderr.write(`${line}\n`),
  })
  const { healthy, results } = await createDoctorAdmin({ parts: [...others, ...parts] }).run()
  if (options.json) {
    printJson({
      file,
      healthy,
      results: results.map(({ check, state, code, reason, message, remedy, path }) => ({
        check,
        state,
        code,
        reason,
        message,
        remedy,
        path,
      })),
    })
  } else printResults(results)
  return healthy ? EXIT.ok : EXIT.failed
}

/** Where the policy is in the database, it is looked at too. */
async function withPolicyInForce(
  { config: file }: LoadedConfig,
  options: CommonOptions,
): Promise<{ readonly config: Config, readonly parts: readonly DiagnosisPart[] }> {
  if (file.policy.source === 'file') return { config: file, parts: [] }
  const part = (result: Omit<DiagnosisResult, 'check'>): readonly DiagnosisPart[] => [{
    check: 'policy',
    look: async () => [{ check: 'policy', ...result }],
  }]
  try {
    const { config, file: version } = await readConfigInForce(options)
    return { config, parts: part({ state: 'ok', code: 'policy', message: `${version} is in force` }) }
  } catch (error) {
    const isUnreachable = error instanceof GatehouseError && error.code === 'database_unavailable'
    return { config: file, parts: part(isUnreachable ? notChecked('the database') : failure(error, 'fail')) }
  }
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL', skipped: '-' } as const

function printResults(results: readonly DiagnosisResult[]): void {
  const width = Math.max(...results.map(({ check }) => check.length))
  for (const { check, state, message, remedy } of results) {
    print(`${WORDS[state].padEnd(4)}  ${check.padEnd(width)}  ${message}`)
    if (remedy !== undefined && state !== 'ok') print(`${' '.repeat(width + 8)}${remedy}`)
  }
  const count = (state: DiagnosisResult['state']) => results.filter((result) => result.state === state).length
  print(`\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed, ${count('skipped')} not checked.`)
}
