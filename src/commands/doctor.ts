// `gatehouse doctor`: asks everything that a login will need, before a person does, and says what to do about each.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { databaseFits } from '../checks/database.js'
import { applicationPermissions, credentialTaken, discoveryFits, graphReached, keysThere } from '../checks/entra.js'
import type { Check, Finding } from '../checks/finding.js'
import { localGroupsExist } from '../checks/local-groups.js'
import { ownStepsLoad } from '../checks/own-steps.js'
import { registrationFits } from '../checks/registration.js'
import { superuserGroupsClosed } from '../checks/superuser-groups.js'
import type { Config } from '../config/config.js'
import type { LoadedConfig } from '../config/load.js'
import { nearest } from '../config/nearest.js'
import { readClientCertificate } from '../core/client-certificate.js'
import { createOwnSteps } from '../steps/own-steps.js'
import { createGroupStore } from '../store/groups.js'
import { openDatabase } from '../store/database.js'
import { databaseUrl } from '../store/database-url.js'
import { pendingMigrations } from '../store/migrate.js'
import { openAppDirectory, openInspection } from './app-directory.js'
import { EXIT, print, printJson, readConfig, type CommonOptions } from './context.js'

type Result = Finding & { readonly check: string }

export async function doctor(options: CommonOptions): Promise<number> {
  const loaded = readConfig(options) // a ConfigError is printed by the caller
  const { config } = loaded
  const results = [...configuration(loaded), ...await entraResults(config), ...await databaseResults(config), ...await stepResults(config)]
  if (options.json) printJson({ file: loaded.file, healthy: !results.some(({ state }) => state === 'fail'), results: results.map(({ check, state, code, says, remedy, path }) => ({ check, state, code, message: says, remedy, path })) })
  else printResults(results)
  return results.some(({ state }) => state === 'fail') ? EXIT.failed : EXIT.ok
}

function configuration({ file, warnings }: LoadedConfig): Result[] {
  const found = warnings.map(({ line, column, path, code, message, remedy }): Result => ({ check: 'configuration', state: 'warn', code, path, says: `${file}:${line}:${column}: ${message}`, remedy }))
  return found.length > 0 ? found : [{ check: 'configuration', state: 'ok', code: 'configuration', says: `${file} is right` }]
}

async function entraResults(config: Config): Promise<Result[]> {
  const { inspection, endpoints, close } = openInspection(config)
  const directory = openAppDirectory(config)
  const { clientSecret, certificate } = config.entra
  const pair = certificate && readClientCertificate(readFileSync(certificate.keyFile, 'utf8'), readFileSync(certificate.certFile, 'utf8'))
  const certificateEndsAt = pair && 'certificate' in pair ? Date.parse(pair.certificate.validTo) : undefined
  try {
    return await all([
      ['Entra ID', discoveryFits(endpoints, inspection)],
      ['keys', keysThere(inspection)],
      ['credential', credentialTaken(inspection)],
      ['registration', registrationFits({ publicUrl: config.server.publicUrl, clientSecret, certificateEndsAt }, inspection)],
      ['Graph', graphReached(inspection)],
      ['permissions', applicationPermissions({ sync: config.sync !== undefined }, inspection)],
      ['superusers', superuserGroupsClosed(config.groupMapping, directory.group)],
    ])
  } finally {
    await Promise.all([close(), directory.close()])
  }
}

async function databaseResults(config: Config): Promise<Result[]> {
  const { embedded, dataDir } = config.database
  if (embedded && !existsSync(join(dataDir, 'postgres', 'PG_VERSION'))) return [{ check: 'database', state: 'skipped', code: 'database', says: `${dataDir} holds no database yet`, remedy: 'The first start makes one.' }]
  const { url, stop } = await databaseUrl(config.database)
  const database = openDatabase({ url, poolSize: 1 })
  const time = async (): Promise<number> => {
    const { rows: [row] } = await database.ask((db) => db.execute<{ ms: number }>(sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`))
    return row?.ms ?? Number.NaN
  }
  try {
    const found = await all([['database', databaseFits({ time, pending: () => pendingMigrations(url) })]])
    if (found.some(({ state }) => state === 'fail')) return found
    const existing = async (): Promise<readonly string[]> => (await createGroupStore(database).list()).map(({ name }) => name)
    return [...found, ...await all([['groups', localGroupsExist({ mapping: config.groupMapping, existing, nearest })]])]
  } finally {
    await database.close()
    await stop()
  }
}

async function stepResults({ pipeline, ownSteps }: Config): Promise<Result[]> {
  const steps = createOwnSteps({ log: { info: ({ line }) => process.stderr.write(`${line}\n`) } })
  try {
    return await all([['steps', ownStepsLoad(pipeline, ownSteps, (step) => steps.prepare([step]))]])
  } finally {
    await steps.close()
  }
}

async function all(checks: readonly (readonly [string, Check])[]): Promise<Result[]> {
  const found = await Promise.all(checks.map(async ([check, look]) => (await look()).map((finding) => ({ check, ...finding }))))
  return found.flat()
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL', skipped: '-' } as const

function printResults(results: readonly Result[]): void {
  const width = Math.max(...results.map(({ check }) => check.length))
  for (const { check, state, says, remedy } of results) {
    print(`${WORDS[state].padEnd(4)}  ${check.padEnd(width)}  ${says}`)
    if (remedy !== undefined && state !== 'ok') print(`${' '.repeat(width + 8)}${remedy}`)
  }
  const count = (state: Finding['state']) => results.filter((result) => result.state === state).length
  print(`\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed, ${count('skipped')} not looked at.`)
}
