// The checks of `doctor`, for the command and for the console: everything that a sign-in will need, and what to do
// about what is not right.
import { readFileSync } from 'node:fs'
import { openAppDirectory, openInspection } from './app-directory.js'
import { guestsAreRefused } from './checks/access.js'
import { auditExported, auditSealed } from './checks/audit.js'
import { databaseFits, type DatabaseInspection } from './checks/database.js'
import {
  applicationPermissions,
  credentialAccepted,
  discoveryFits,
  graphReachable,
  signingKeysExist,
} from './checks/entra.js'
import { failure, isUnanswered, notChecked, type Check } from './checks/finding.js'
import { asWritten } from './config/as-written.js'
import { localGroupsExist } from './checks/local-groups.js'
import { registrationFits } from './checks/registration.js'
import { superuserGroupsClosed } from './checks/superuser-groups.js'
import type { Config } from './config/config.js'
import { nearest } from './config/nearest.js'
import type { ConfigProblem } from './config/problem.js'
import { readClientCertificate } from './core/client-certificate.js'
import type { DiagnosisPart, DiagnosisResult } from './core/diagnosis.js'
import { checkCustomSteps } from './custom-step-check.js'
import { isNotCreatedYet, inspectDatabase } from './database-inspection.js'
import { notificationsArrive } from './store/change-feed/notification-trial.js'
import { openDatabase, type Database } from './store/database.js'
import { databaseUrl } from './store/database-url.js'
import { tryEngine } from './store/engine.js'
import { createGroupsList } from './store/groups-list.js'
import { readExportState } from './store/audit-export-queue.js'
import { readSealState } from './store/seal-state.js'
import { openServerOfRecord, SILENT } from './store/server-of-record/server-of-record.js'

export interface DoctorDeps {
  /** In force at the moment of a run. */
  readonly config: () => Config
  readonly configuration: () => readonly DiagnosisResult[]
  /** Of an embedded PostgreSQL that runs already; undefined: `doctor` starts or joins it. */
  readonly embeddedUrl?: string
  /** What the modules of custom steps print. */
  readonly log: (line: string) => void
}

/** In the order of the report. None of them rejects. */
export function doctorParts({ config, configuration, embeddedUrl, log }: DoctorDeps): readonly DiagnosisPart[] {
  const part = (check: string, look: () => Promise<readonly DiagnosisResult[]>): DiagnosisPart => ({
    check,
    look: async () => await survived(check, look()),
  })
  return [
    part('configuration', async () => configuration()),
    part('Entra ID', () => entraResults(config())),
    part('database', () => databaseResults(config(), embeddedUrl)),
    part('steps', () => stepResults(config(), log)),
  ]
}

/** @param right what is said where there is no finding */
export function configurationResults(warnings: readonly ConfigProblem[], right: string): readonly DiagnosisResult[] {
  if (warnings.length === 0) return [{ check: 'configuration', state: 'ok', code: 'configuration', message: right }]
  return warnings.map(({ file, line, column, path, code, message, remedy }): DiagnosisResult => ({
    check: 'configuration',
    state: 'warn',
    code,
    path,
    message: `${file}:${line}:${column}: ${message}`,
    ...(remedy === undefined ? {} : { remedy }),
  }))
}

async function entraResults(config: Config): Promise<DiagnosisResult[]> {
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
          {
            publicUrl: config.server.publicUrl,
            clientSecret,
            certificateEndsAt,
            guestsRefused,
            contextAsked: config.admin?.acrs !== undefined,
          },
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
function causesOnce(results: readonly DiagnosisResult[]): DiagnosisResult[] {
  return results.map((result, index) => {
    const first = isUnanswered(result) ? results.slice(0, index).find(({ code }) => code === result.code) : undefined
    if (first === undefined) return result // guard: adv-doctor-one-cause
    return { check: result.check, ...notChecked(first.check) }
  })
}

async function databaseResults(config: Config, embeddedUrl: string | undefined): Promise<DiagnosisResult[]> {
  const { database: settings, groupMapping, audit } = config
  if (isNotCreatedYet(settings)) {
    return [{
      check: 'database',
      state: 'skipped',
      code: 'database',
      message: `${settings.dataDir} holds no database yet`,
      remedy: 'The first start makes one.',
    }]
  }
  const { url, directUrl, stop } = await addressOf(settings, embeddedUrl)
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
      return [...found, ...['groups', 'audit'].map((check) => ({ check, ...notChecked('the database') }))]
    }
    const opened = database
    const groups = createGroupsList(database)
    const existing = async (): Promise<readonly string[]> => (await groups.all()).map(({ name }) => name)
    const exported = ['audit', auditExported(() => readExportState(opened, audit.retentionMs))] as const
    return [
      ...found,
      ...await all([
        [
          'groups',
          localGroupsExist({ mapping: groupMapping, shown: asWritten(config).groupMapping, existing, nearest }),
        ],
        ['audit', auditSealed(() => readSealState(opened))],
        ...audit.export === undefined ? [] : [exported],
      ]),
    ]
  } finally {
    await database?.close()
    await stop()
  }
}

async function addressOf(settings: Config['database'], embeddedUrl: string | undefined) {
  const known = settings.embedded && embeddedUrl !== undefined
  return known
    ? { url: embeddedUrl, directUrl: undefined, stop: async () => {} }
    : { directUrl: undefined, ...await databaseUrl(settings) }
}

async function stepResults(config: Config, log: DoctorDeps['log']): Promise<DiagnosisResult[]> {
  return (await checkCustomSteps(config, log)).map((finding) => ({ check: 'steps', ...finding }))
}

/** Whatever goes wrong with one part of the world, the others are looked at. */
async function survived(
  check: string,
  looking: Promise<readonly DiagnosisResult[]>,
): Promise<readonly DiagnosisResult[]> {
  return await looking.catch((error: unknown) => [{ check, ...failure(error, 'fail') }])
}

async function all(checks: readonly (readonly [string, Check])[]): Promise<DiagnosisResult[]> {
  const found = await Promise.all(
    checks.map(async ([check, look]) => (await look()).map((finding) => ({ check, ...finding }))),
  )
  return found.flat()
}
