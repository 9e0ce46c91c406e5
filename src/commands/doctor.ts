// `gatehouse doctor`: checks everything that a login will need, before a person does, and says what to do about each.
import { createDoctorAdmin } from '../admin/doctor.js'
import type { DiagnosisResult } from '../core/diagnosis.js'
import { configurationResults, doctorParts } from '../doctor.js'
import { commandProcess } from './command-process.js'
import { EXIT, print, printJson, readConfig, type CommonOptions } from './context.js'

export async function doctor(options: CommonOptions): Promise<number> {
  const { config, file, warnings } = readConfig(options) // a ConfigError is printed by the caller
  const { healthy, results } = await createDoctorAdmin({
    parts: doctorParts({
      config: () => config,
      configuration: () => configurationResults(warnings, `${file} is right`),
      log: (line) => commandProcess().stderr.write(`${line}\n`),
    }),
  }).run()
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
