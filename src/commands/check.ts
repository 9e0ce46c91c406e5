// `gatehouse check`: every problem of the configuration in one run, with place and remedy. What the file names is
// looked at too, where it can be reached: custom steps, local groups, the Entra groups that make superusers.
import {
  accessNamesExist,
  defaultIsMeant,
  guestsAreMeant,
  guestsAreRefused,
  guestsAreDistinguishable,
  portsComeFromTheProxy,
  separatorsNotInNames,
} from '../checks/access.js'
import { writesFit } from '../checks/database.js'
import { failure, notChecked, type Finding } from '../checks/finding.js'
import { localGroupsExist } from '../checks/local-groups.js'
import { superuserGroupsClosed } from '../checks/superuser-groups.js'
import type { Config } from '../config/config.js'
import { asWritten } from '../config/as-written.js'
import { ConfigError, formatProblem, type LoadedConfig, type ConfigProblem } from '../config/load.js'
import { nearest } from '../config/nearest.js'
import { openDatabase } from '../store/database.js'
import { databaseUrl } from '../store/database-url.js'
import { chooseServer } from '../store/server-of-record/server-of-record.js'
import type { GroupView } from '../core/groups.js'
import { createGroupsList } from '../store/groups-list.js'
import { openAppDirectory } from '../app-directory.js'
import { EXIT, print, printJson, readConfig, type CommonOptions } from './context.js'
import { commandProcess } from './command-process.js'
import { checkCustomSteps } from '../custom-step-check.js'
import { isNotCreatedYet, inspectDatabase } from '../database-inspection.js'

export interface CheckOptions extends CommonOptions {
  readonly offline?: boolean
}

export async function check(options: CheckOptions): Promise<number> {
  const loaded = readConfig(options) // a ConfigError is printed by the caller
  const findings = [
    ...await checkCustomSteps(loaded.config, (line) => commandProcess().stderr.write(`${line}\n`)),
    ...guests(loaded),
    ...rulesAreMeant(loaded),
    ...options.offline ? [] : await lookAround(loaded),
  ]
  const problemsOf = (state: Finding['state']) =>
    findings.filter((finding) => finding.state === state).map((finding) => asProblem(finding, loaded))
  const failures = problemsOf('fail')
  if (failures.length > 0) throw new ConfigError(failures)
  const warnings = [...loaded.warnings, ...problemsOf('warn')]
  const skipped = findings.filter(({ state }) => state === 'skipped')
  const { file, hash } = loaded
  if (options.json) {
    printJson({
      file,
      usable: true,
      hash,
      problems: [],
      warnings,
      skipped: skipped.map(({ code, reason, message, remedy }) => ({ code, reason, message, remedy })),
    })
  } else {
    for (const warning of warnings) print(`warning: ${formatProblem(warning)}`)
    for (const { message, remedy } of skipped) print(`note: ${message}${remedy === undefined ? '' : `\n    ${remedy}`}`)
    print(
      `${file} is usable${
        warnings.length > 0 ? `, with ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}` : ''
      }.`,
    )
  }
  return EXIT.ok
}

function guests({ config: { access, authAllowed, pipeline } }: LoadedConfig): readonly Finding[] {
  const refused = guestsAreRefused({ authAllowed, pipeline })
  return [...guestsAreMeant(access, !refused), ...guestsAreDistinguishable(refused)]
}

function rulesAreMeant({ config: { access } }: LoadedConfig): readonly Finding[] {
  return [...defaultIsMeant(access), ...portsComeFromTheProxy(access)]
}

async function lookAround(loaded: LoadedConfig): Promise<readonly Finding[]> {
  const { config } = loaded
  const directory = openAppDirectory(config)
  try {
    return [
      ...await lookAtDatabase(loaded).catch((
        error: unknown,
      ) => [failure(error, 'skipped', 'the database was not checked: ')]),
      ...await superuserGroupsClosed(config.groupMapping, directory.group)(),
    ]
  } finally {
    await directory.close()
  }
}

async function lookAtDatabase({ config }: LoadedConfig): Promise<readonly Finding[]> {
  if (isNotCreatedYet(config.database)) return await namesFit(config, async () => [])
  const { stop, ...address } = await databaseUrl(config.database)
  try {
    const opened = await inspectServer(address).catch((error: unknown) =>
      failure(error, 'skipped', 'the database was not checked: ')
    )
    if ('code' in opened) return [opened, notChecked('the database', NAMES)]
    const { server, state: seen } = opened
    const found = writesFit(seen, 'warn').map((finding) => ({ ...finding, path: 'database' }))
    if (seen.pending.length > 0) {
      const message = `the database is not at this version (${seen.pending.length} migrations are not applied)`
      return [...found, {
        state: 'skipped',
        code: 'migrations_pending',
        message,
        remedy: 'A start applies them, and so does gatehouse migrate.',
      }, notChecked('that', NAMES)]
    }
    const database = openDatabase({ server, poolSize: 1 })
    try {
      return [...found, ...await namesFit(config, async () => await createGroupsList(database).all())]
    } finally {
      await database.close()
    }
  } finally {
    await stop()
  }
}

async function inspectServer(address: Parameters<typeof chooseServer>[0]) {
  const server = await chooseServer(address)
  return { server, state: await inspectDatabase(server) }
}

const NAMES = 'whether the groups and permissions that the configuration names exist'

/** @param groups the local groups there are */
async function namesFit(
  config: Config,
  groups: () => Promise<readonly GroupView[]>,
): Promise<readonly Finding[]> {
  const { groupMapping, access, headers } = config
  const separators = headers.extra.map(({ separator }) => separator)
  return [
    ...await localGroupsExist({
      mapping: groupMapping,
      shown: asWritten(config).groupMapping,
      existing: async () => (await groups()).map(({ name }) => name),
      nearest,
    })(),
    ...await accessNamesExist({ access, shown: asWritten(config).access, existing: groups, nearest })(),
    ...await separatorsNotInNames(separators, groups)(),
  ]
}

function asProblem(
  { path = '', code, message, remedy = '' }: Finding,
  { file, positionOf }: LoadedConfig,
): ConfigProblem {
  return { file, ...positionOf(path), path, code, message, remedy }
}
