// The process: opens what the application stands on, listens, and closes in the opposite order.
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { buildApp } from './app.js'
import { openAuditDelivery } from './audit-delivery.js'
import { neverReloaded, registerReloads } from './config/reload-state.js'
import type { Config } from './config/config.js'
import type { RunningConfig } from './config/running-config.js'
import { createGroupMapping } from './core/mapping.js'
import { createReplicas, type Replicas } from './core/replicas.js'
import type { Siblings } from './core/siblings.js'
import { createCustomSteps } from './custom-steps/registry.js'
import { createAccountSource } from './entra/accounts.js'
import { createBackgroundGraph } from './entra/background-graph.js'
import { createChangeSource } from './entra/change-source.js'
import { openEntra, type Entra } from './entra/open-entra.js'
import type { Gateway, GatewayOptions } from './gateway.js'
import { dialects } from './http/forward-auth/dialects/index.js'
import { drainAndClose } from './http/drain.js'
import { createLifecycle, type Lifecycle } from './lifecycle.js'
import { createManagementServer } from './management-server.js'
import { databasePolicyLoader } from './database-policy.js'
import { openDeployedPolicy, type DeployedPolicy } from './deployed-policy.js'
import { pipelineInForce, requireUsable, type PipelineDeps } from './derived-config.js'
import { openPolicyApplications } from './policy-applications.js'
import { openPolicyRecord } from './policy-record.js'
import { listen } from './net/listen.js'
import { readinessParts, replicaReadiness } from './readiness.js'
import { createReevaluationSchedule, type ReevaluationSchedule } from './reevaluation/scheduler.js'
import { warnOfMissingGroups } from './store/missing-groups.js'
import { openActivity } from './store/activity.js'
import { createPolicyDeploymentStore } from './store/policy-deployments.js'
import { createPolicyVersionStore } from './store/policy-versions.js'
import { openReevaluationStorage } from './store/reevaluation-storage.js'
import { openSessions } from './store/cached-sessions.js'
import { openRequestSample } from './store/request-sample.js'
import { openStorage, type Storage } from './store/storage.js'
import { createMetrics, type Metrics } from './telemetry/metrics.js'
import { createReevaluationReporter, createSignalReporter } from './telemetry/reporters.js'
import { noTracing } from './telemetry/tracing/tracing.js'
import { VERSION } from './version.js'

export const LISTENING = 'Gatehouse is listening'
export const LINGER_MS = 2_000
export const CUT_OFF_MS = 10_000
const REEVALUATION_BUDGET_MS = 30_000

/** @throws GatehouseError `database_unavailable`, `step_unusable`, `port_unusable` */
export async function startGateway(config: RunningConfig, options: GatewayOptions): Promise<Gateway> {
  const lifecycle = createLifecycle(options.log)
  try {
    return await open(config, options, lifecycle)
  } catch (error) {
    await lifecycle.close()
    throw error
  }
}

async function open(given: RunningConfig, options: GatewayOptions, lifecycle: Lifecycle): Promise<Gateway> {
  const { startup } = given
  const { log, tracing = noTracing(), customSteps = createCustomSteps({ log }), siblings } = options
  const { reload = neverReloaded() } = options
  const { own, draining, drain, close } = lifecycle
  own('tracing', () => tracing.close())
  own('custom steps', () => customSteps.close())
  await customSteps.prepare(given.current().customSteps)

  const metrics = openMetrics(given, options)
  const shared = { own, draining, log, tracer: tracing.tracer, meter: metrics.meter }
  const storage = await openStorage(startup, { ...shared, migrate: options.migrate ?? true })
  const policy = await openPolicy(given, options, { ...shared, storage, customStep: customSteps.step })
  const { config, replica } = policy
  const { current } = config
  const entra = openEntra({ ...startup, current: () => ({ ...startup.entra, ...current().entra }) }, shared)
  const replicas = openReplicas(config, options, { ...metrics, policy: policy.version, source: entra.source })
  const sessions = openSessions(storage, startup, { ...shared, replicas, replica, onPolicy: policy.look })
  const auditExport = await openAuditDelivery(startup, { ...shared, storage, speaksForAll: speaksForAll(siblings) })
  const { step: customStep } = customSteps
  const counting = openCounting(config, { ...shared, ...storage })
  const reevaluation = openReevaluation(config, options, { ...shared, storage, entra })
  const opened = { storage, sessions, entra, replicas, reevaluation, reload, ...counting.parts }
  const app = await buildApp(config, { ...shared, ...opened, customStep, siblings })
  const parts = () => readinessParts({ entra, sessions, storage, replicas, reload, reevaluation, policy: policy.state })
  const readiness = () => replicaReadiness({ ping: storage.ping, parts, draining, policy: policy.state })
  const management = siblings ? undefined : await createManagementServer({ log, readiness, metrics })
  own('management listener', () => management?.close())
  own('requests', () => drainAndClose(app, { lingerMs: options.lingerMs ?? LINGER_MS, cutOffMs: CUT_OFF_MS }))

  const { server } = startup
  const managementPort = management && await listen(management, server.management, 'server.management.port')
  const port = await listen(app, server, 'server.port')
  const { database, url: databaseUrl } = storage
  if (speaksForAll(siblings)) await warnOfMissingGroups(database, current().groupMapping, log)
  if (!siblings) log.info({ publicUrl: server.publicUrl, port, management: managementPort }, LISTENING)
  const { changes } = sessions
  const { activity, sampling } = counting
  const opens = { app, database, databaseUrl, changes, reevaluation, activity, sampling, auditExport }
  return { ...opens, port, readiness, metrics, drain, close }
}

/** What the console shows of requests: counts, and a sample for previews of drafts. */
function openCounting(
  { startup, current }: RunningConfig,
  deps: Pick<Lifecycle, 'own'> & Pick<GatewayOptions, 'log'> & Pick<Storage, 'database'>,
) {
  const enabled = startup.admin !== undefined
  const activity = openActivity({ ...deps, enabled })
  const sampling = openRequestSample({ ...deps, enabled, perSecond: () => current().access.sample })
  const { counters, reader } = activity
  return { activity, sampling, parts: { counters, activity: reader, sample: sampling.sample } }
}

/** The first worker writes the lines that are about all of them. */
function speaksForAll(siblings: Siblings | undefined): boolean {
  return siblings === undefined || siblings.number === 1
}

function openMetrics({ startup }: RunningConfig, { siblings, reload = neverReloaded() }: GatewayOptions): Metrics {
  const endpoints = dialects(startup.server.authRequestHeaders).map(({ dialect }) => dialect.path)
  const metrics = createMetrics({
    version: VERSION,
    endpoints,
    reevaluation: startup.sync !== undefined,
    auditExport: startup.audit.export !== undefined,
  })
  if (siblings === undefined) registerReloads(metrics, reload)
  return metrics
}

interface OpenPolicy extends Pick<DeployedPolicy, 'config' | 'version' | 'look'> {
  /** The id of this replica in the table of replicas. */
  readonly replica: string
  /** Undefined: the policy is the file's. */
  readonly state: DeployedPolicy['state'] | undefined
}

/** The policy of the file is recorded as a version; the one in the database is read. */
async function openPolicy(
  given: RunningConfig,
  options: GatewayOptions,
  { storage: { database }, own, log, tracer, customStep }:
    & Pick<Lifecycle, 'own'>
    & PipelineDeps
    & { storage: Storage, log: GatewayOptions['log'] },
): Promise<OpenPolicy> {
  const { source } = given.startup.policy
  const versions = createPolicyVersionStore(database)
  const replica = randomBytes(9).toString('base64url')
  const name = replicaName(given, options)
  if (source === 'file') {
    const record = await openPolicyRecord(given, { store: versions, replica: name, own, log })
    return { config: given, replica, version: record.version, look: () => {}, state: undefined }
  }
  const compile = (config: Config): void => {
    requireUsable(config)
    pipelineInForce(config, { customStep, tracer })
  }
  const store = createPolicyDeploymentStore(database)
  const load = databasePolicyLoader(database)
  const deployed = await openDeployedPolicy(given, { store, versions, load, replica, name, compile, own, log })
  const apply = openPolicyApplications(deployed.config, { name, database, version: deployed.version, own, log })
  const look = (): void => {
    deployed.look()
    apply()
  }
  return { ...deployed, look, replica }
}

/** Host and port, and the number of the worker. */
function replicaName({ startup }: RunningConfig, { siblings }: GatewayOptions): string {
  const place = `${hostname()}:${startup.server.port}`
  return siblings === undefined ? place : `${place}-${siblings.number}`
}

function openReplicas(
  config: RunningConfig,
  options: GatewayOptions,
  { meter, policy, source }: Pick<Metrics, 'meter'> & Pick<Entra, 'source'> & { policy: DeployedPolicy['version'] },
): Replicas {
  const { log, siblings, replicasMayDifferMs: reportAfterMs } = options
  const replicas = createReplicas({
    name: replicaName(config, options),
    config: config.hash,
    policy,
    throttledUntil: () => source.throttledUntil(),
    log: speaksForAll(siblings) ? log : { warn: () => {}, info: () => {} },
    ...(reportAfterMs === undefined ? {} : { reportAfterMs }),
  })
  meter.gauges('replicas', () => {
    const { same, different } = replicas.state()
    return { same, different: different.length }
  })
  return replicas
}

/** The re-evaluation, where it is configured. */
function openReevaluation(
  { startup, current, requirePolicy, deployed }: RunningConfig,
  { log, reevaluationGraceMs: graceMs }: GatewayOptions,
  { storage, entra, own, meter }: Pick<Lifecycle, 'own'> & Pick<Metrics, 'meter'> & { storage: Storage, entra: Entra },
): ReevaluationSchedule | undefined {
  const { sync: pace, entra: { tenantId, securityGroupsOnly }, session } = startup
  if (pace === undefined) return undefined
  const { signals, ...stored } = openReevaluationStorage(storage, { ...session, tenantId }, own)
  const connection = entra.client.signIn
  const background = createBackgroundGraph(connection)
  const schedule = createReevaluationSchedule({
    ...stored,
    source: createAccountSource({ ...connection, securityGroupsOnly, budgetMs: REEVALUATION_BUDGET_MS }, background),
    changes: {
      source: createChangeSource({ background, tenantId, clientId: connection.clientId }),
      store: signals,
      mapped: () => current().groupMapping.map(({ entraGroup }) => entraGroup.toLowerCase()),
      report: createSignalReporter(log, meter),
    },
    pace,
    requirePolicy,
    mapping: () => ({
      settings: { mapping: createGroupMapping(current().groupMapping) },
      requireMappedGroup: current().requireMappedGroup,
      policyHash: deployed?.hash(),
    }),
    catchUp: deployed?.catchUp,
    report: createReevaluationReporter(log, meter),
    ...(graceMs === undefined ? {} : { graceMs }),
  })
  own('re-evaluation', () => schedule.close())
  meter.gauge('reevaluationHere', () => schedule.state().leader ? 1 : 0)
  meter.gauge('reevaluationLag', () => schedule.state().lagMs / 1000)
  meter.gauge('reevaluationDeltasRead', () => (schedule.state().deltasReadAt ?? 0) / 1000)
  schedule.start()
  return schedule
}
