// What every command does the same way: find and read the configuration, open the database, print for people or as
// JSON.
import { userInfo } from 'node:os'
import type { CommandActs } from '../admin/use-cases.js'
import type { Config } from '../config/config.js'
import { asWritten } from '../config/as-written.js'
import { ConfigError, formatProblem, loadConfig, type LoadedConfig } from '../config/load.js'
import type { Acting } from '../core/acts.js'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { policyMissing, versionName } from '../core/policy-version.js'
import type { Database } from '../store/database.js'
import type { PersonView } from '../core/people.js'
import type { PeopleUseCases } from '../people-use-cases.js'
import { commandProcess } from './command-process.js'
import { EXIT } from './exit.js'
import { printJson, printNote } from './printing.js'

export { EXIT } from './exit.js'
export { print, printFile, printJson, printNote } from './printing.js'
export { printTable } from './row-output.js'

/** Longer than the gateway's limit: a command may end a million sessions. */
const STATEMENT_MS = 120_000

export interface CommonOptions {
  readonly config?: string
  readonly json?: boolean
}

/** @throws ConfigError */
export function readConfig(options: CommonOptions): LoadedConfig {
  return loadConfig(configFile(options), { env: commandProcess().env })
}

/** `--config`, else GATEHOUSE_CONFIG, else config/gatehouse.yaml. */
export function configFile({ config }: CommonOptions): string {
  return config ?? commandProcess().env.GATEHOUSE_CONFIG ?? 'config/gatehouse.yaml'
}

/**
 * With the policy that was deployed last, where the policy is in the database.
 * @throws ConfigError; GatehouseError `policy_missing`
 */
export async function readConfigInForce(options: CommonOptions): Promise<LoadedConfig> {
  const loaded = readConfig(options)
  if (loaded.config.policy.source === 'file') return loaded
  const config = await withDatabase(options, async (read) => read.config === read.file ? undefined : read.config)
  if (config === undefined) throw policyMissing()
  const { positions, file } = config.source ?? { positions: new Map(), file: loaded.file }
  return { ...loaded, file, config, positionOf: (path) => positions.get(path) ?? { line: 1, column: 1 } }
}

/** The file's configuration as it is, where no policy was deployed. */
async function withDeployedPolicy(file: Config, database: Database): Promise<Config> {
  if (file.policy.source === 'file') return file
  const [
    { createPolicyDeploymentStore },
    { createPolicyVersionStore },
    { databasePolicyLoader },
    { configWithPolicy },
  ] = await Promise.all([
    import('../store/policy-deployments.js'),
    import('../store/policy-versions.js'),
    import('../database-policy.js'),
    import('../config/running-config.js'),
  ])
  const inForce = await createPolicyDeploymentStore(database).inForce()
  const version = inForce && await createPolicyVersionStore(database).get(inForce.number)
  if (version === undefined) return file
  const load = databasePolicyLoader(database)
  const policy = await load(version.text, file, versionName(version.number))
  return configWithPolicy(file, policy.config)
}

export interface CommandContext {
  readonly database: Database
  /** The same use cases as in the console and its API. */
  readonly people: PeopleUseCases['people']
  readonly groups: PeopleUseCases['groups']
  readonly sessions: PeopleUseCases['sessions']
  readonly tokens: PeopleUseCases['tokens']
  /** Changes; the same use cases too. */
  readonly acts: CommandActs
  /** With the policy that was deployed last, where the policy is in the database and was deployed. */
  readonly config: Config
  /** Of the file alone. */
  readonly file: Config
}

export interface DatabaseNeeds {
  /** `file`: it works where the policy in force cannot be loaded too; default `policy`. */
  readonly needs?: 'policy' | 'file'
  readonly poolSize?: number
}

/** Runs work on the configured database and closes it, whatever happens. */
export async function withDatabase<T>(
  options: CommonOptions,
  work: (context: CommandContext) => Promise<T>,
  { needs = 'policy', poolSize = 2 }: DatabaseNeeds = {},
): Promise<T> {
  const { config: file } = readConfig(options)
  const [
    { openDatabase },
    { databaseUrl },
    { chooseServer },
    { createPeopleUseCases },
    { createActUseCases, groupPolicyOf },
  ] = await Promise.all([
    import('../store/database.js'),
    import('../store/database-url.js'),
    import('../store/server-of-record/server-of-record.js'),
    import('../people-use-cases.js'),
    import('../act-use-cases.js'),
  ])
  const { stop, ...address } = await databaseUrl(file.database)
  let database: Database | undefined
  try {
    database = openDatabase({ server: await chooseServer(address), poolSize, timeoutMs: STATEMENT_MS })
    const config = needs === 'file' ? file : await withDeployedPolicy(file, database)
    const policy = () => ({ mapping: config.groupMapping, rules: config.access.rules })
    const written = asWritten(config)
    const shown = () => ({ mapping: written.groupMapping, rules: written.access.rules })
    const timeouts = config.session
    const acts = createActUseCases({
      database,
      timeouts,
      encryptionSecrets: config.keys.encryptionSecrets,
      reservedUsernames: () => config.reservedUsernames,
      groupPolicy: () => groupPolicyOf(config),
    })
    return await work({ database, config, file, acts, ...createPeopleUseCases({ database, timeouts, policy, shown }) })
  } finally {
    await database?.close()
    await stop()
  }
}

/** Who changes things by command, for the audit. */
export function cliActor(): string {
  return `cli:${userInfo().username}`
}

/** A command has the database itself: nothing is above its rights. */
export function cliActing(): Acting {
  return { actor: cliActor(), admin: undefined }
}

/** Notes on standard error that the UPN is or was that of another user too. */
export function noteNamesakes({ username, namesakes }: PersonView): void {
  for (const other of namesakes) {
    printNote(
      `gatehouse: note: this is about the user ${username}; the same UPN is or was that of another user, ${other}`,
    )
  }
}

/** Prints the failure and its remedy on standard error. @returns the exit code */
export function explainFailure(error: unknown, json = false): number {
  if (error instanceof ConfigError) {
    if (json) printJson({ error: 'config_unusable', problems: error.problems })
    else {
      const count = `${error.problems.length} ${error.problems.length === 1 ? 'problem' : 'problems'}`
      printNote(`${error.problems.map(formatProblem).join('\n')}\n\n${count}: the configuration is not usable.`)
    }
    return EXIT.config
  }
  const known = asGatehouseError(error)
  if (json) printJson({ error: known.code, message: known.message, remedy: known.remedy })
  else printNote(`gatehouse: ${known.message}${known.remedy === undefined ? '' : `\n    ${known.remedy}`}`)
  return WRONG_USAGE.has(known.code) ? EXIT.usage : EXIT.failed
}

/** Arguments that are invalid regardless of the contents of the database. */
const WRONG_USAGE: ReadonlySet<ErrorCode> = new Set(['target_malformed'])

function asGatehouseError(error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error
  if (isNotPartOfImage(error)) {
    return new GatehouseError('command_missing', {
      cause: error,
      remedy: 'The demo is not part of the production image: run it from a checkout (npm ci && npm run demo).',
    })
  }
  const detail = error instanceof Error ? error.message : String(error)
  return new GatehouseError('internal', { cause: error, detail })
}

function isNotPartOfImage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
}
