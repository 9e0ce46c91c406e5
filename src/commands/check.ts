// `gatehouse check`: every problem of the configuration at once, with its place and the remedy. What the file names is
// looked at too, where it can be reached: steps of one's own, local groups, the Entra groups that make superusers.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { accessNamesExist, defaultIsMeant, guestsAreMeant, portsComeFromTheProxy, separatorsNotInNames } from '../checks/access.js'
import type { Finding } from '../checks/finding.js'
import { localGroupsExist } from '../checks/local-groups.js'
import { ownStepsLoad } from '../checks/own-steps.js'
import { superuserGroupsClosed } from '../checks/superuser-groups.js'
import { ConfigError, formatProblem, type LoadedConfig, type Problem } from '../config/load.js'
import { nearest } from '../config/nearest.js'
import { createOwnSteps } from '../steps/own-steps.js'
import { createGroupStore, type GroupView } from '../store/groups.js'
import { openAppDirectory } from './app-directory.js'
import { EXIT, print, printJson, readConfig, withDatabase, type CommonOptions } from './context.js'

export interface CheckOptions extends CommonOptions { readonly offline?: boolean }

export async function check(options: CheckOptions): Promise<number> {
  const loaded = readConfig(options) // a ConfigError is printed by the caller
  const findings = [...await lookAtSteps(loaded), ...guests(loaded), ...rulesAreMeant(loaded), ...options.offline ? [] : await lookAround(loaded, options)]
  const problemsOf = (state: Finding['state']) => findings.filter((finding) => finding.state === state).map((finding) => asProblem(finding, loaded))
  const failures = problemsOf('fail')
  if (failures.length > 0) throw new ConfigError(failures)
  const warnings = [...loaded.warnings, ...problemsOf('warn')]
  const skipped = findings.filter(({ state }) => state === 'skipped')
  const { file, hash } = loaded
  if (options.json) printJson({ file, usable: true, hash, problems: [], warnings, skipped: skipped.map(({ code, says, remedy }) => ({ code, message: says, remedy })) })
  else {
    for (const warning of warnings) print(`warning: ${formatProblem(warning)}`)
    for (const { says, remedy = 'Look at the file alone with --offline.' } of skipped) print(`note: ${says}\n    ${remedy}`)
    print(`${file} is usable${warnings.length > 0 ? `, with ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}` : ''}.`)
  }
  return EXIT.ok
}

async function lookAtSteps({ config }: LoadedConfig): Promise<readonly Finding[]> {
  const steps = createOwnSteps({ log: { info: ({ line }) => process.stderr.write(`${line}\n`) } })
  try {
    return await ownStepsLoad(config.pipeline, config.ownSteps, (step) => steps.prepare([step]))()
  } finally {
    await steps.close()
  }
}

function guests({ config: { access, authAllowed, pipeline } }: LoadedConfig): readonly Finding[] {
  return guestsAreMeant(access, authAllowed.guests || !pipeline.includes('auth_allowed'))
}

function rulesAreMeant({ config: { access } }: LoadedConfig): readonly Finding[] {
  return [...defaultIsMeant(access), ...portsComeFromTheProxy(access)]
}

async function lookAround({ config }: LoadedConfig, options: CommonOptions): Promise<readonly Finding[]> {
  const { embedded, dataDir } = config.database
  const read = async (): Promise<readonly GroupView[]> => {
    if (embedded && !existsSync(join(dataDir, 'postgres', 'PG_VERSION'))) return [] // a look makes no database
    return await withDatabase(options, ({ database }) => createGroupStore(database).list())
  }
  let reading: Promise<readonly GroupView[]> | undefined
  const groups = () => { reading ??= read(); return reading }
  const directory = openAppDirectory(config)
  try {
    return [
      ...await localGroupsExist({ mapping: config.groupMapping, existing: async () => (await groups()).map(({ name }) => name), nearest })(),
      ...await accessNamesExist({ access: config.access, existing: groups, nearest })(),
      ...await separatorsNotInNames(config.headers.extra.map(({ separator }) => separator), groups)(),
      ...await superuserGroupsClosed(config.groupMapping, directory.group)(),
    ]
  } finally {
    await directory.close()
  }
}

function asProblem({ path = '', code, says, remedy = '' }: Finding, { file, placeOf }: LoadedConfig): Problem {
  return { file, ...placeOf(path), path, code, message: says, remedy }
}
