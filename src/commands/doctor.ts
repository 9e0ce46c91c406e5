// `gatehouse doctor`: asks everything that a login will need, before a person does, and says what to do about each.
import { readFileSync } from 'node:fs'
import { guestsAreRefused } from '../checks/access.js'
import { databaseFits, type DatabaseInspection } from '../checks/database.js'
import {
  applicationPermissions,
  credentialAccepted,
  discoveryFits,
  graphReachable,
  signingKeysExist,
} from '../checks/entra.js'
import { failure, isUnanswered, notChecked, type Check, type Finding } from '../checks/finding.js'
import { localGroupsExist } from '../checks/local-groups.js'
import { registrationFits } from '../checks/registration.js'
import { superuserGroupsClosed } from '../checks/superuser-groups.js'
import type { Config } from '../config/config.js'
import type { LoadedConfig } from '../config/load.js'
import { nearest } from '../config/nearest.js'
import { readClientCertificate } from '../core/client-certificate.js'
import { createGroupStore } from '../store/groups.js'
import { openDatabase, type Database } from '../store/database.js'
import { databaseUrl } from '../store/database-url.js'
import { notificationsArrive } from '../store/change-feed/notification-trial.js'
import { tryEngine } from '../store/engine.js'
import { openServerOfRecord, SILENT } from '../store/server-of-record/server-of-record.js'
import { openAppDirectory, openInspection } from './app-directory.js'
import { EXIT, print, printJson, readConfig, type CommonOptions } from './context.js'
import { checkCustomSteps } from './custom-step-check.js'
import { isNotCreatedYet, inspectDatabase } from './database-inspection.js'

type Result = Finding & { readonly check: string }

export async function doctor(options: CommonOptions): Promise<number> {
  const loaded = readConfig(options) // a ConfigError is printed by the caller
  const { config } = loaded
  const results = [
    ...configuration(loaded),
    ...await survived('Entra ID', entraResults(config)),
    ...await survived('database', databaseResults(config)),
    ...await survived('steps', stepResults(config)),
  ]
  if (options.json) {
    printJson({
      file: loaded.file,
      healthy: !results.some(({ state }) => state === 'fail'),
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
  return results.some(({ state }) => state === 'fail') ? EXIT.failed : EXIT.ok
}

function configuration({ file, warnings }: LoadedConfig): Result[] {
  const found = warnings.map(({ line, column, path, code, message, remedy }): Result => ({
    check: 'configuration',
    state: 'warn',
    code,
    path,
    message: `${file}:${line}:${column}: ${message}`,
    remedy,
  }))
  return found.length > 0
    ? found
    : [{ check: 'configuration', state: 'ok', code: 'configuration', message: `${file} is right` }]
}

async function entraResults(config: Config): Promise<Result[]> {
  const { inspection, endpoints, close } = openInspection(config)
  const directory = openAppDirectory(config)
  const { clientSecret, certificate } = config.entra
  const guestsRefused = guestsAreRefused(config)
  const pair = certificate &&
    readClientCertificate(readFileSync(certificate.keyFile, 'utf8'), readFileSync(certificate.certFile, 'utf8'))
  const certificateEndsAt = pair && 'certificate' in pair ? Date.parse(pair.certificate.validTo) : undefined
  try {
    const tenant = await all([['Entra ID', discoveryFits(endpoints, inspection)]])
    const others: readonly (readonly [string, Check])[] = [
      ['keys', signingKeysExist(inspection)],
      ['credential', credentialAccepted(inspection)],
      ['Graph', graphReachable(inspection)],
      [
        'registration',
        registrationFits(
          { publicUrl: config.server.publicUrl, clientSecret, certificateEndsAt, guestsRefused },
          inspection,
        ),
      ],
      ['permissions', applicationPermissions({ sync: config.sync !== undefined }, inspection)],
      ['superusers', superuserGroupsClosed(config.groupMapping, directory.group)],
    ]
    if (tenant.some(isUnanswered)) {
      return [...tenant, ...others.map(([check]) => ({ check, ...notChecked('Entra ID') }))]
    }
    return causesOnce([...tenant, ...await all(others)])
  } finally {
    await Promise.all([close(), directory.close()])
  }
}

/** One cause can prevent several checks: it is reported at the first of them. */
function causesOnce(results: readonly Result[]): Result[] {
  return results.map((result, index) => {
    const first = isUnanswered(result) ? results.slice(0, index).find(({ code }) => code === result.code) : undefined
    if (first === undefined) return result // guard: adv-doctor-one-cause
    return { check: result.check, ...notChecked(first.check) }
  })
}

async function databaseResults(config: Config): Promise<Result[]> {
  const { database: settings, groupMapping } = config
  if (isNotCreatedYet(settings)) {
    return [{
      check: 'database',
      state: 'skipped',
      code: 'database',
      message: `${settings.dataDir} holds no database yet`,
      remedy: 'The first start makes one.',
    }]
  }
  const { url, directUrl, stop } = await databaseUrl(settings)
  let database: Database | undefined
  try {
    const inspect = async (): Promise<DatabaseInspection> => {
      const server = await openServerOfRecord({ url: directUrl ?? url, poolUrl: directUrl && url, log: SILENT })
      server.close()
      database = openDatabase({ server, poolSize: 1 })
      const state = await inspectDatabase(server, server.hosts())
      const { url: own } = server.current()
      return { ...state, tryEngine: () => tryEngine(own), notificationsArrive: () => notificationsArrive(own) }
    }
    const found = await all([['database', databaseFits({ inspect })]])
    if (database === undefined || found.some(({ state }) => state === 'fail')) {
      return [...found, { check: 'groups', ...notChecked('the database') }]
    }
    const groups = createGroupStore(database)
    const existing = async (): Promise<readonly string[]> => (await groups.list()).map(({ name }) => name)
    return [...found, ...await all([['groups', localGroupsExist({ mapping: groupMapping, existing, nearest })]])]
  } finally {
    await database?.close()
    await stop()
  }
}

async function stepResults(config: Config): Promise<Result[]> {
  return (await checkCustomSteps(config)).map((finding) => ({ check: 'steps', ...finding }))
}

/** Whatever goes wrong with one part of the world, the others are looked at. */
async function survived(check: string, looking: Promise<Result[]>): Promise<Result[]> {
  return await looking.catch((error: unknown) => [{ check, ...failure(error, 'fail') }])
}

async function all(checks: readonly (readonly [string, Check])[]): Promise<Result[]> {
  const found = await Promise.all(
    checks.map(async ([check, look]) => (await look()).map((finding) => ({ check, ...finding }))),
  )
  return found.flat()
}

const WORDS = { ok: 'ok', warn: 'warn', fail: 'FAIL', skipped: '-' } as const

function printResults(results: readonly Result[]): void {
  const width = Math.max(...results.map(({ check }) => check.length))
  for (const { check, state, message, remedy } of results) {
    print(`${WORDS[state].padEnd(4)}  ${check.padEnd(width)}  ${message}`)
    if (remedy !== undefined && state !== 'ok') print(`${' '.repeat(width + 8)}${remedy}`)
  }
  const count = (state: Finding['state']) => results.filter((result) => result.state === state).length
  print(`\n${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed, ${count('skipped')} not checked.`)
}
