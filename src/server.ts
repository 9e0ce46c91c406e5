// The process's part: open what the application stands on, listen, and close in the opposite order.
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { sql } from 'drizzle-orm'
import type { Logger } from 'pino'
import { buildApp } from './app.js'
import type { Config } from './config/config.js'
import { configHash } from './config/config-hash.js'
import { neverReloaded, type ReloadState } from './config/reload-state.js'
import { GatehouseError, errorFacts, thrownFacts } from './core/errors.js'
import { createGroupMapping } from './core/mapping.js'
import { memoizeByConfig } from './core/memoize-by-config.js'
import { createReplicas, type Replicas } from './core/replicas.js'
import { createRotationHint } from './core/rotation-hint.js'
import { createSessionCache, invalidateOnWrite, type SessionCache } from './core/session-cache.js'
import { createAccountSource } from './entra/accounts.js'
import { entraEndpoints, severalTenants } from './entra/clouds.js'
import { createClientCredential } from './entra/credentials.js'
import { createCredentialExpiry, isPermissionMissing, type CredentialExpiry } from './entra/credential-expiry.js'
import { createHttpClient, type HttpClient } from './entra/http-client.js'
import { createInspection } from './entra/inspection.js'
import { withReachability, type WatchedHttpClient } from './entra/reachability.js'
import { createEntraSource, type EntraSource } from './entra/source.js'
import { tracedHttp } from './entra/traced-http.js'
import { dialects } from './http/forward-auth/dialects/index.js'
import { drainAndClose } from './http/drain.js'
import { activityInterval } from './http/session-activity.js'
import { createManagementServer } from './management.js'
import { createMetrics, type Metrics } from './telemetry/metrics.js'
import { createLoginReporter, createReevaluationReporter } from './telemetry/reporters.js'
import { createCustomSteps, type CustomSteps } from './custom-steps/registry.js'
import { SERVER } from './store/change-feed/connections.js'
import { createChangeListener, type ChangeListener } from './store/change-feed/listener.js'
import { openDatabase, type Database } from './store/database.js'
import { databaseUrl } from './store/database-url.js'
import { createKeyRing, type LiveKeyRing } from './store/key-ring.js'
import { createSigningKeyStore } from './store/keys.js'
import { createGroupStore } from './store/groups.js'
import { createLock } from './store/leadership.js'
import { createLongReturns } from './store/long-returns.js'
import { createLoginStore } from './store/login-store.js'
import { migrate } from './store/migrate.js'
import { createPeopleStore } from './store/people.js'
import { createRecordCounter, type RecordCounter } from './store/record-counts.js'
import { latestSnapshot } from './store/membership-snapshots.js'
import { startRecurring } from './recurring.js'
import { rightsOf } from './store/rights.js'
import { createSessionStore } from './store/sessions.js'
import { sweep } from './store/sweep.js'
import { createDueUsers } from './store/due-users.js'
import { createReevaluationWriter } from './store/reevaluation-writer.js'
import { createStalenessExpiry } from './store/staleness-expiry.js'
import { tracedDatabase } from './store/traced-database.js'
import { createReevaluationSchedule, type ReevaluationSchedule } from './reevaluation/scheduler.js'
import { noTracing, type Tracing } from './telemetry/tracing/tracing.js'
import { VERSION } from './version.js'

const SWEEP_EVERY_MS = 10 * 60_000
const KEYS_EVERY_MS = 60_000
const LINGER_MS = 2_000
const CUT_OFF_MS = 10_000
const SYNC_BUDGET_MS = 30_000
const RECORD_EVERY_MS = 15_000
const CREDENTIAL_AFTER_MS = 60_000
const CREDENTIAL_EVERY_MS = 6 * 3_600_000

export interface Gateway {
  readonly app: FastifyInstance
  readonly database: Database
  readonly databaseUrl: string
  readonly changes: ChangeListener
  /** Undefined: not configured. */
  readonly reevaluation: ReevaluationSchedule | undefined
  /**
   * From now on not ready, and silent about what ends: called first of all where other programs stop at the same time.
   */
  drain(): void
  /** Lets proxies go, stops taking requests, finishes those under way, closes everything. */
  close(): Promise<void>
}

export interface GatewayOptions {
  readonly log: Logger
  /** The custom steps, if the caller loads and replaces them; by default the gateway does. */
  readonly steps?: CustomSteps
  readonly migrate?: boolean
  /** Closed with the gateway. */
  readonly tracing?: Tracing
  /** How long requests are still taken after close(), at most. */
  readonly lingerMs?: number
  /** How long another replica's configuration may differ before it is reported. */
  readonly replicasMayDifferMs?: number
  /** How long after a start a silence of Graph takes nothing from anybody. */
  readonly reevaluationGraceMs?: number
  /** What came of the last reload of the configuration; absent: the configuration is never reloaded. */
  readonly reload?: () => ReloadState
}

/** @param live the configuration in force @throws GatehouseError `database_unavailable`, `step_unusable` */
export async function startGateway(
  live: () => Config,
  {
    log,
    steps: given,
    migrate: migrating = true,
    tracing = noTracing(),
    lingerMs = LINGER_MS,
    replicasMayDifferMs,
    reevaluationGraceMs,
    reload = neverReloaded(),
  }: GatewayOptions,
): Promise<Gateway> {
  const config = live()
  const closers: (() => Promise<unknown>)[] = []
  let draining = false
  const drain = (): void => {
    draining = true
  }
  const closeAll = async (): Promise<void> => {
    drain()
    for (const close of closers.splice(0).reverse()) {
      await close().catch((error: unknown) => log.error({ err: error }, 'something did not close'))
    }
  }
  closers.push(() => tracing.close())
  const { tracer } = tracing
  const steps = given ?? createCustomSteps({ log })
  closers.push(() => steps.close())
  try {
    await steps.prepare(config.customSteps)
    const { url, stop } = await databaseUrl(
      config.database,
      (failure) => log.fatal(errorFacts(failure), 'the embedded PostgreSQL ended'),
    )
    closers.push(stop)
    if (migrating) { for (const name of await migrate(url)) log.info({ migration: name }, 'migration applied') }
    const database = tracedDatabase(
      openDatabase({
        url,
        poolSize: config.database.poolSize,
        onIdleError: (error) => {
          if (!draining) {
            log.warn({ detail: error.message }, 'a database connection broke; it is replaced when it is needed')
          }
        },
      }),
      tracer,
    )
    closers.push(() => database.close())
    await database.ask((db) => db.execute(sql`select 1`))
    const keys = await openKeys(database, config.keys, log, closers)
    const sweeping = startRecurring(
      () => sweep(database, { ...config.session, retentionMs: config.audit.retentionMs }),
      SWEEP_EVERY_MS,
      (error) => log.warn({ err: error }, 'housekeeping failed; it will be tried again'),
    )
    closers.push(sweeping.stop)
    const replicas = createReplicas({
      name: `${hostname()}:${config.server.port}`,
      config: memoizeByConfig(live, configHash),
      log,
      ...(replicasMayDifferMs === undefined ? {} : { reportAfterMs: replicasMayDifferMs }),
    })
    const record = openRecordCounter(database, log, closers)
    const metrics: Metrics = createMetrics({
      version: VERSION,
      endpoints: dialects(config.server.authRequestHeaders).map(({ dialect }) => dialect.path),
      reload,
      graphThrottledUntil: () => entra.source.throttledUntil(),
      cachedSessions: () => cache.size,
      changeListenerUp: () => changes.connected(),
      replicas: () => {
        const { same, different } = replicas.state()
        return { same, different: different.length }
      },
      pool: database.pool,
      record: record.counts,
      credentialEndsAt: () => credentialEnd.at(),
      ...(config.sync ? { sync: () => reevaluation?.state() } : {}),
    })
    const endpoints = entraEndpoints(config.entra)
    const http = withReachability(
      tracedHttp(
        createHttpClient({
          ca: config.entra.caFile === undefined ? undefined : readFileSync(config.entra.caFile, 'utf8'),
        }),
        endpoints,
        tracer,
      ),
      endpoints.graph,
      metrics.meter.upstream,
    )
    closers.push(() => http.close())
    const { cache, changes } = openCache({
      url,
      database,
      config,
      replicas,
      log,
      closers,
      onKeys: () => {
        keys.refresh().catch((error: unknown) =>
          log.warn({ err: error }, 'the signing keys could not be read again; those in memory go on')
        )
      },
    })
    const entra = entraAdapters(live, http)
    const credentialEnd = openCredentialEnd(live, http, log, closers)
    // guard: adv-rotation-named
    const unknownSignature = createRotationHint({ differing: () => replicas.state().different.length > 0, log })
    const app = await buildApp(live, {
      ...entra,
      ...storeAdapters(live, database, cache),
      keys,
      meter: metrics.meter,
      tracer,
      report: createLoginReporter(log, metrics.meter),
      customStep: steps.step,
      unknownSignature,
      log,
    })
    const reevaluation = openReevaluation(live, {
      http,
      database,
      url,
      metrics,
      log,
      closers,
      graceMs: reevaluationGraceMs,
    })
    const informed = () => ({
      ...upstreamParts(http, entra.source),
      changes: changes.connected() ? 'connected' : 'disconnected: session cache bypassed',
      replicas: replicas.state(),
      config: configPart(reload()),
      ...(reevaluation ? { sync: reevaluationPart(reevaluation) } : {}),
    })
    const management = await createManagementServer({
      checks: {
        database: async () => {
          await database.ask((db) => db.execute(sql`select 1`))
        },
        informed,
      },
      draining: () => draining,
      metrics: metrics.text,
      log,
    })
    closers.push(() => management.close(), () => drainAndClose(app, { lingerMs, cutOffMs: CUT_OFF_MS }))
    await listen(management, config.server.management, 'server.management.port')
    await listen(app, config.server, 'server.port')
    await warnOfMissingGroups(config, database, log)
    log.info(
      { publicUrl: config.server.publicUrl, port: portOf(app), management: portOf(management) },
      'Gatehouse is listening',
    )
    return { app, database, databaseUrl: url, changes, reevaluation, drain, close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

/**
 * The assertion keys: opened, sealed anew where the secrets were rotated, replaced by age, looked at again every
 * minute.
 */
async function openKeys(
  database: Database,
  { encryptionSecrets, rotateEveryMs }: Config['keys'],
  log: Logger,
  closers: (() => Promise<unknown>)[],
): Promise<LiveKeyRing> {
  const store = createSigningKeyStore(database, encryptionSecrets)
  const ring = createKeyRing(store)
  await store.ensure()
  const keepUp = async (): Promise<void> => {
    const kid = await store.keepUp(rotateEveryMs)
    if (kid !== undefined) log.info({ kid }, 'a new signing key is published; it signs in a quarter of an hour')
    await ring.refresh()
  }
  await keepUp()
  const keeping = startRecurring(
    keepUp,
    KEYS_EVERY_MS,
    (error) => log.warn({ err: error }, 'the signing keys could not be read again; those in memory go on'),
  )
  closers.push(keeping.stop)
  return ring
}

function openRecordCounter(database: Database, log: Logger, closers: (() => Promise<unknown>)[]): RecordCounter {
  const record = createRecordCounter(database)
  const counting = startRecurring(record.refresh, RECORD_EVERY_MS, (error) => {
    log.debug({ err: error }, 'the counts of superusers and revocations could not be read; they stay as they were')
  })
  closers.push(counting.stop)
  return record
}

/** When the credential ends, for the metrics: looked at some time after the start, and then now and then. */
function openCredentialEnd(
  live: () => Config,
  http: HttpClient,
  log: Logger,
  closers: (() => Promise<unknown>)[],
): CredentialExpiry {
  const { entra, server } = live()
  const tenantId = severalTenants(entra.tenantId) ? entra.allowedTenants[0] ?? entra.tenantId : entra.tenantId
  const endpoints = entraEndpoints({ ...entra, tenantId })
  const { clientId, loginBudgetMs: budgetMs } = entra
  const credential = createClientCredential(() => live().entra, { clientId, tokenEndpoint: endpoints.token })
  const redirectUri = `${server.publicUrl}/oauth2/callback`
  const inspection = createInspection({ http, endpoints, clientId, credential, redirectUri, budgetMs })
  const end = createCredentialExpiry(() => live().entra, inspection)
  const report = (error: unknown): void => {
    if (isPermissionMissing(error)) return
    log.debug(thrownFacts(error), 'when the credential ends could not be read')
  }
  const looking = startRecurring(end.refresh, CREDENTIAL_EVERY_MS, report, CREDENTIAL_AFTER_MS)
  closers.push(looking.stop)
  return end
}

/** The re-evaluation, where it is configured. */
function openReevaluation(
  live: () => Config,
  { http, database, url, metrics, log, closers, graceMs }: {
    http: HttpClient
    database: Database
    url: string
    metrics: Metrics
    log: Logger
    closers: (() => Promise<unknown>)[]
    graceMs: number | undefined
  },
): ReevaluationSchedule | undefined {
  const { sync: pace, entra, session } = live()
  if (!pace) return undefined
  const endpoints = entraEndpoints(entra)
  const credential = createClientCredential(() => live().entra, {
    clientId: entra.clientId,
    tokenEndpoint: endpoints.token,
  })
  const leadership = createLock({ url, name: 'gatehouse sync' })
  const stored = { ...session, tenantId: entra.tenantId }
  const schedule = createReevaluationSchedule({
    source: createAccountSource({
      http,
      endpoints,
      clientId: entra.clientId,
      credential,
      securityGroupsOnly: entra.securityGroupsOnly,
      budgetMs: SYNC_BUDGET_MS,
    }),
    dueUsers: createDueUsers(database, stored),
    writer: createReevaluationWriter(database),
    expiry: createStalenessExpiry(database, stored),
    leadership,
    pace,
    mapping: () => ({
      settings: { mapping: createGroupMapping(live().groupMapping) },
      requireMappedGroup: live().requireMappedGroup,
    }),
    lookups: createLoginStore(database, session),
    report: createReevaluationReporter(log, metrics.meter),
    ...(graceMs === undefined ? {} : { graceMs }),
  })
  closers.push(() => leadership.close(), () => schedule.close())
  schedule.start()
  return schedule
}

/** For people who look at /readyz: a pause that Graph asked for is shown although its last answer was fine. */
function upstreamParts(http: Pick<WatchedHttpClient, 'reachability'>, source: Pick<EntraSource, 'throttledUntil'>) {
  const { entra, graph } = http.reachability()
  const until = source.throttledUntil()
  if (until === undefined) return { entra, graph } // guard: adv-throttle-shown
  return { entra, graph: { ...graph, state: `throttled until ${new Date(until).toISOString()}` } }
}

/** Of the configuration in /readyz: refused files leave the last good one in force, so the gateway stays ready. */
function configPart({ refused }: ReloadState): string {
  // guard: adv-reload-told
  return refused === undefined ? 'ok' : `refused since ${refused.since.toISOString()}: ${refused.reason}`
}

function reevaluationPart(schedule: ReevaluationSchedule): string {
  const { leader, failing } = schedule.state()
  if (failing !== undefined) return `failing: ${failing}`
  return leader ? 'this replica does it' : 'another replica does it'
}

function entraAdapters(live: () => Config, http: HttpClient) {
  const { entra, server } = live()
  const endpoints = entraEndpoints(entra)
  const source = createEntraSource({
    http,
    endpoints,
    clientId: entra.clientId,
    tenants: severalTenants(entra.tenantId) ? entra.allowedTenants : [entra.tenantId],
    credential: createClientCredential(() => live().entra, {
      clientId: entra.clientId,
      tokenEndpoint: endpoints.token,
    }),
    redirectUri: `${server.publicUrl}/oauth2/callback`,
    membershipPath: entra.membershipPath,
    securityGroupsOnly: entra.securityGroupsOnly,
    loginBudgetMs: entra.loginBudgetMs,
  })
  return { endpoints, source }
}

/** What was read of sessions, for as long as every change is heard of. */
function openCache(
  { url, database, config, replicas, log, closers, onKeys }: {
    url: string
    database: Database
    config: Config
    replicas: Replicas
    log: Logger
    closers: (() => Promise<unknown>)[]
    onKeys: () => void
  },
): { cache: SessionCache, changes: ChangeListener } {
  const changes = createChangeListener({
    url,
    onChange: (change) => cache.apply(change),
    onDoubt: (knownUntil) => cache.markAllStale(knownUntil),
    onKeys,
    readFrom: async () =>
      (await database.ask((db) => db.execute<{ server: string }>(sql.raw(SERVER)))).rows[0]?.server ?? '',
    replicas,
    log,
  })
  closers.push(() => changes.close())
  const cache: SessionCache = createSessionCache({
    feed: changes,
    touchAfterMs: activityInterval(config.session.idleTimeoutMs),
  })
  return { cache, changes }
}

function storeAdapters(live: () => Config, database: Database, cache: SessionCache) {
  const { session } = live()
  const people = createPeopleStore(database, session)
  return {
    loginStore: createLoginStore(database, session),
    longReturns: createLongReturns(database),
    cache,
    sessions: invalidateOnWrite(createSessionStore(database, session), cache),
    rightsOf: async (userId: string) => {
      const { groupMapping } = live()
      const reading = await latestSnapshot(database, userId, groupMapping.flatMap(({ groups }) => groups))
      return rightsOf(await people.byId(userId), groupMapping, reading)
    },
  }
}

async function listen(
  app: FastifyInstance,
  { host, port }: { host: string, port: number },
  key: string,
): Promise<void> {
  const listenTextResolver = (address: string): string => `listening for ${key} on ${address}`
  await app.listen({ host, port, listenTextResolver }).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (!['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'].includes(code)) throw cause
    throw new GatehouseError('port_unusable', {
      cause,
      detail: `cannot listen on ${host}:${port} (${code})`,
      remedy: `Free it, or set ${key} to another one.`,
    })
  })
}

/** A login skips a mapped group that does not exist; better to be told before. */
async function warnOfMissingGroups({ groupMapping }: Config, database: Database, log: Logger): Promise<void> {
  const existing = new Set((await createGroupStore(database).list()).map((group) => group.name))
  for (const name of new Set(groupMapping.flatMap((row) => row.groups))) {
    if (!existing.has(name)) {
      log.warn(
        { group: name, remedy: `gatehouse groups add ${JSON.stringify(name)}` },
        `Azure AD group mapping - group not found locally: ${name}; logins will skip it`,
      )
    }
  }
}

function portOf(app: FastifyInstance): number | undefined {
  const address = app.server.address()
  return typeof address === 'object' ? address?.port : undefined
}
