// What the console shows of the installation as a whole, made from the opened parts.
import { createAuditAdmin } from './admin/audit.js'
import { createDoctorAdmin } from './admin/doctor.js'
import { createHealthAdmin } from './admin/health.js'
import { createKeysAdmin } from './admin/keys.js'
import { createOverviewAdmin } from './admin/overview.js'
import type { AdminUseCases } from './admin/use-cases.js'
import type { ConfigProblem } from './config/problem.js'
import type { ReloadState } from './config/reload-state.js'
import { wholeConfig, type RunningConfig } from './config/running-config.js'
import type { ActivityReader } from './core/activity.js'
import type { DiagnosisResult } from './core/diagnosis.js'
import type { ConfigHealth, DatabaseServers, EntraHealth, KnownHealth, Reach, SyncHealth } from './core/health.js'
import { configurationResults, doctorParts, type DoctorDeps } from './doctor.js'
import type { Entra } from './entra/open-entra.js'
import { changesPart } from './readiness.js'
import type { ReevaluationSchedule } from './reevaluation/scheduler.js'
import { createAuditReader } from './store/audit-list.js'
import type { CachedSessions } from './store/cached-sessions.js'
import { createHealthReader } from './store/health-reads.js'
import { createSigningKeyStore } from './store/keys.js'
import { createOverviewReader } from './store/overview-reads.js'
import { createPeopleStore } from './store/people.js'
import type { Storage } from './store/storage.js'
import { VERSION } from './version.js'

export interface OverviewDeps {
  readonly storage: Storage
  readonly sessions: Pick<CachedSessions, 'changes'>
  readonly entra: Entra
  readonly activity: ActivityReader
  /** Undefined: not configured. */
  readonly reevaluation: Pick<ReevaluationSchedule, 'state' | 'lastRun'> | undefined
  readonly reload: () => ReloadState
  readonly log: { info: (facts: object, text: string) => void }
}

export function createOverviewUseCases(
  config: RunningConfig,
  deps: OverviewDeps,
): Pick<AdminUseCases, 'audit' | 'doctor' | 'health' | 'keys' | 'overview'> {
  const { startup } = config
  const { storage: { database }, activity } = deps
  const people = createPeopleStore(database, startup.session)
  const findPerson = async (text: string): Promise<string> => (await people.find(text)).id
  const keys = createSigningKeyStore(database, startup.keys.encryptionSecrets)
  const health = createHealthAdmin({
    reader: createHealthReader({ database, keys, config: config.hash, audit: startup.audit }),
    known: knownHealth(config, deps),
  })
  return {
    audit: createAuditAdmin({ audit: createAuditReader(database), findPerson }),
    doctor: createDoctorAdmin({ parts: doctorParts(doctorDeps(config, deps)) }),
    health,
    keys: createKeysAdmin({ keys }),
    overview: createOverviewAdmin({ reader: createOverviewReader(database, startup.session), activity, health }),
  }
}

/** With the configuration in force, and the embedded PostgreSQL that runs. */
function doctorDeps(running: RunningConfig, { storage, reload, log }: OverviewDeps): DoctorDeps {
  return {
    config: () => wholeConfig(running),
    configuration: () => configurationOf(reload(), running.current().source?.warnings),
    embeddedUrl: storage.url,
    log: (line) => log.info({ line }, 'a custom step that doctor loads has printed this'),
  }
}

/** @param warnings undefined: not known to this process */
function configurationOf(
  { refused }: ReloadState,
  warnings: readonly ConfigProblem[] | undefined,
): readonly DiagnosisResult[] {
  const check = 'configuration'
  const refusal: readonly DiagnosisResult[] = refused === undefined ? [] : [{
    check,
    state: 'fail',
    code: 'configuration_refused',
    message: `the changed file is refused since ${refused.since.toISOString()}: ${refused.reason}`,
    remedy: 'gatehouse check names every problem. The configuration before it stays in force.',
  }]
  if (warnings !== undefined) return [...refusal, ...configurationResults(warnings, 'the file in force is right')]
  const unknown = 'not checked: this process does not know the findings of the file'
  return [...refusal, {
    check,
    state: 'skipped',
    code: check,
    message: unknown,
    remedy: 'gatehouse check prints them.',
  }]
}

function knownHealth(config: RunningConfig, deps: OverviewDeps): KnownHealth {
  return {
    version: VERSION,
    servers: () => serversOf(config, deps),
    entra: () => entraOf(config, deps.entra),
    sync: () => syncOf(deps.reevaluation),
    config: () => configOf(config, deps.reload()),
  }
}

function serversOf({ startup }: RunningConfig, { storage, sessions }: OverviewDeps): DatabaseServers {
  return {
    isEmbedded: startup.database.embedded,
    hosts: storage.server.hosts().map(({ host, state, identity }) => ({
      host,
      state,
      timeline: identity?.timeline ?? null,
    })),
    changes: changesPart(sessions.changes),
  }
}

function entraOf({ startup, current }: RunningConfig, { client, source, credentialEndsAt }: Entra): EntraHealth {
  const { entra, graph } = client.http.reachability()
  const last = client.http.lastSuccess()
  const secret = current().entra.clientSecret === undefined ? 'federated' : 'secret'
  return {
    entra: reachOf(entra, last.entra),
    graph: reachOf(graph, last.graph),
    throttledUntil: isoOf(source.throttledUntil()),
    credential: startup.entra.certificate ? 'certificate' : secret,
    credentialEndsAt: isoOf(credentialEndsAt()),
  }
}

function reachOf(reach: Omit<Reach, 'lastSuccessAt'>, last: number | undefined): Reach {
  return { ...reach, lastSuccessAt: isoOf(last) }
}

function syncOf(reevaluation: OverviewDeps['reevaluation']): SyncHealth {
  const state = reevaluation?.state()
  const lastRun = reevaluation?.lastRun()
  return {
    isConfigured: state !== undefined,
    isLeader: state?.leader ?? false,
    failing: state?.failing ?? null,
    lagSeconds: (state?.lagMs ?? 0) / 1000,
    lastRun: lastRun === undefined ? null : { ...lastRun, at: new Date(lastRun.at).toISOString() },
  }
}

function configOf({ hash, current }: RunningConfig, { refused }: ReloadState): ConfigHealth {
  const warnings = current().source?.warnings // guard: admin-findings-in-workers
  return {
    hash: hash().slice(0, 12),
    refused: refused === undefined ? null : { since: refused.since.toISOString(), reason: refused.reason },
    findings: warnings?.map(({ path, code, message, remedy, file, line, column }) => ({
      path,
      code,
      place: `${file}:${line}:${column}`,
      message,
      remedy: remedy ?? null,
    })) ?? null,
  }
}

function isoOf(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString()
}
