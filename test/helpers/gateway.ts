// A whole Gatehouse for a test: real HTTP, real PostgreSQL, the simulated Entra ID beside it, the log kept.
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.js'
import type { Config } from '../../src/config/config.js'
import type { ReloadState } from '../../src/config/reload-state.js'
import { runningConfig } from '../../src/config/running-config.js'
import { isRecord } from '../../src/core/is-record.js'
import { createDirectory } from '../../src/demo/directory.js'
import { startEntra } from '../../src/demo/entra/server.js'
import type { AppRegistration, EntraOptions, EntraSimulator } from '../../src/demo/entra/types.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { createLogger } from '../../src/telemetry/logger.js'
import type { Gateway } from '../../src/gateway.js'
import { startGateway } from '../../src/server.js'
import { createCustomSteps } from '../../src/custom-steps/registry.js'
import { createGroupAdmin } from './acts.js'
import { startTracing } from '../../src/telemetry/tracing/tracing.js'
import { VERSION } from '../../src/version.js'
import { createBrowser, formOf, type Answer, type Browser } from './browser.js'
import { freshDatabase } from './postgres.js'

export const CLIENT_SECRET = 'client-secret-canary-7Q~abc/+='
export const SESSION_SECRET = 'session-secret-canary-0123456789abcdef'
export const ENCRYPTION_SECRET = 'encryption-secret-canary-0123456789abcd'

export const MAPPING = [
  { entraGroup: GROUP_IDS.netboxSuperusers, groups: ['NetBox Superusers'], staff: true, superuser: true },
  { entraGroup: GROUP_IDS.netboxAdmins, groups: ['NetBox Admins'], staff: true },
  { entraGroup: GROUP_IDS.networkEngineers, groups: ['Network Engineers'], staff: true },
  { entraGroup: GROUP_IDS.circuitManagers, groups: ['Circuit Manager'] },
  { entraGroup: GROUP_IDS.readOnly, groups: ['Read Only'] },
]
const LOCAL_GROUPS = MAPPING.flatMap((row) => row.groups)

export interface TestGateway {
  readonly url: string
  readonly management: string
  readonly entra: EntraSimulator
  readonly config: Config
  readonly gateway: Gateway
  readonly databaseUrl: string
  /** Every log line, parsed. */
  readonly log: readonly Record<string, unknown>[]
  /** Every log line as it was written. */
  readonly rawLog: readonly string[]
  close(): Promise<void>
  /** The same directory, database and addresses under another configuration. */
  restart(config?: Record<string, unknown>): Promise<TestGateway>
  /** What a reload does: another configuration is in force at once, in the same process. */
  reload(config: Record<string, unknown>): void
  /** Signs a person in from the start and returns the last answer. */
  signIn(
    personId: string,
    options?: { browser?: Browser, rd?: string },
  ): Promise<{ browser: Browser, answer: Answer & { trail: readonly string[] } }>
  ask(path: string, options?: { browser?: Browser, headers?: Record<string, string>, method?: string }): Promise<Answer>
}

export interface TestGatewayOptions {
  readonly config?: Record<string, unknown>
  readonly app?: Partial<AppRegistration>
  readonly entra?: Partial<EntraOptions>
  readonly groups?: readonly string[]
  readonly seed?: (directory: EntraOptions['directory']) => void
  /** Runs on the demo's own configuration file, with publicUrl as given, instead of one made here. */
  readonly demoFile?: { readonly publicUrl: string }
  /** Files beside the configuration, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Time limit of a custom step. */
  readonly stepTimeoutMs?: number
  /** OpenTelemetry's variables. */
  readonly tracing?: Readonly<Record<string, string>>
  /** How long requests are still taken after close(); not at all where nothing is said. */
  readonly lingerMs?: number
  /** How long another replica's configuration may differ unreported. */
  readonly replicasMayDifferMs?: number
  /** How long after a start a silence of Graph takes nothing from anybody; not at all where nothing is said. */
  readonly reevaluationGraceMs?: number
  /** What the gateway is told of its last reload. */
  readonly reload?: () => ReloadState
  /** An empty database to use instead of a fresh one. */
  readonly databaseUrl?: string
  /** Puts something between the gateway and its database. */
  readonly throughProxy?: (url: string) => Promise<string>
}

export async function startTestGateway(t: Test, options: TestGatewayOptions = {}): Promise<TestGateway> {
  const databaseUrl = options.databaseUrl ?? await freshDatabase(t)
  const [port, management] = await freePorts(2)
  const publicUrl = options.demoFile?.publicUrl ?? `http://127.0.0.1:${port}`
  const directory = createDirectory(DEMO_TENANT_ID)
  if (options.seed) options.seed(directory)
  else seedDemoDirectory(directory)
  const entra = await startEntra({ directory, app: registration(publicUrl, options.app), ...options.entra })
  t.teardown(() => entra.close())
  const demo = options.demoFile && demoConfig({ publicUrl, port, management, entra, databaseUrl })
  const base = baseConfig({
    publicUrl,
    port,
    management,
    entra,
    databaseUrl: await options.throughProxy?.(databaseUrl) ?? databaseUrl,
  })
  return await start(t, base, options.config ?? {}, {
    entra,
    databaseUrl,
    groups: options.groups ?? LOCAL_GROUPS,
    demo,
    files: options.files ?? {},
    stepTimeoutMs: options.stepTimeoutMs,
    replicasMayDifferMs: options.replicasMayDifferMs,
    lingerMs: options.lingerMs ?? 0,
    reevaluationGraceMs: options.reevaluationGraceMs ?? 0,
    reload: options.reload,
    tracing: options.tracing ?? {},
  })
}

interface Fixed {
  readonly entra: EntraSimulator
  readonly databaseUrl: string
  readonly groups: readonly string[]
  readonly demo: Config | undefined
  readonly files: Readonly<Record<string, string>>
  readonly stepTimeoutMs: number | undefined
  readonly tracing: Readonly<Record<string, string>>
  readonly replicasMayDifferMs: number | undefined
  readonly lingerMs: number
  readonly reevaluationGraceMs: number
  readonly reload: (() => ReloadState) | undefined
}

async function start(
  t: Test,
  base: Record<string, unknown>,
  overrides: Record<string, unknown>,
  fixed: Fixed,
): Promise<TestGateway> {
  const config = fixed.demo ?? writtenConfig(t, merge(base, overrides), fixed.files)
  const rawLog: string[] = []
  const log: Record<string, unknown>[] = []
  const tracing = await startTracing(fixed.tracing, VERSION)
  const logger = createLogger({ ...config.log, format: 'json' }, {
    write: (line) => {
      rawLog.push(line)
      log.push(JSON.parse(line) as Record<string, unknown>)
    },
  }, tracing.logFields)
  tracing.reportTo(logger)
  let inForce = config
  const gateway = await startGateway(runningConfig(() => inForce), {
    log: logger,
    tracing,
    lingerMs: fixed.lingerMs,
    reevaluationGraceMs: fixed.reevaluationGraceMs,
    ...(fixed.reload ? { reload: fixed.reload } : {}),
    ...(fixed.replicasMayDifferMs === undefined ? {} : { replicasMayDifferMs: fixed.replicasMayDifferMs }),
    ...(fixed.stepTimeoutMs === undefined
      ? {}
      : { customSteps: createCustomSteps({ log: logger, timeoutMs: fixed.stepTimeoutMs }) }),
  })
  await createGroupAdmin(gateway.database).apply(fixed.groups.map((name) => ({ name })), {
    actor: 'test',
    dryRun: false,
  })
  let closed = false
  const close = async (): Promise<void> => {
    if (!closed) await gateway.close()
    closed = true
  }
  t.teardown(close)
  const url = config.server.publicUrl
  return {
    url,
    management: `http://127.0.0.1:${config.server.management.port}`,
    entra: fixed.entra,
    config,
    gateway,
    databaseUrl: fixed.databaseUrl,
    log,
    rawLog,
    close,
    reload(next) {
      inForce = writtenConfig(t, merge(base, merge(overrides, next)), fixed.files)
    },
    async restart(next = {}) {
      await close()
      return await start(t, base, merge(overrides, next), fixed)
    },
    async signIn(personId, { browser = createBrowser(), rd } = {}) {
      const page = await browser.follow(`${url}/oauth2/start${rd === undefined ? '' : `?rd=${encodeURIComponent(rd)}`}`)
      return { browser, answer: await pickPerson(browser, page, personId) }
    },
    async ask(path, { browser = createBrowser(), ...ask } = {}) {
      await gateway.changes.caughtUp() // what a test wrote to the database before counts
      return await browser.ask(`${url}${path}`, ask)
    },
  }
}

/** A configuration file for commands on the database of a gateway, without a policy. */
export function commandConfig({ url, config, databaseUrl }: TestGateway): Readonly<Record<string, unknown>> {
  const { tenantId, clientId, clientSecret, authorityHost, graphUrl } = config.entra
  return {
    server: { publicUrl: url },
    entra: { tenantId, clientId, clientSecret, authorityHost, graphUrl, allowHttp: true },
    database: { url: databaseUrl },
    session: { secrets: [...config.session.secrets] },
    keys: { encryptionSecrets: [...config.keys.encryptionSecrets] },
  }
}

/** On Entra's page: this person. An answer that is no such page (single sign-on, an error) is returned as it is. */
export async function pickPerson(
  browser: Browser,
  page: Answer & { trail?: readonly string[] },
  personId: string,
): Promise<Answer & { trail: readonly string[] }> {
  if (!page.text.includes('data-person=')) return { ...page, trail: page.trail ?? [] }
  const { action, fields } = formOf(page)
  return await browser.follow(action, { method: 'POST', form: { ...fields, person: personId } })
}

export function registration(publicUrl: string, overrides: Partial<AppRegistration> = {}): AppRegistration {
  return {
    clientId: DEMO_CLIENT_ID,
    redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`],
    secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: CLIENT_SECRET }],
    applicationPermissions: [],
    delegatedPermissions: ['User.Read'],
    optionalClaims: ['email', 'sid', 'login_hint', 'auth_time', 'xms_edov', 'acct', 'given_name', 'family_name'],
    ...overrides,
  }
}

export function baseConfig(
  { publicUrl, port, management, entra, databaseUrl }: {
    publicUrl: string
    port: number | undefined
    management: number | undefined
    entra: EntraSimulator
    databaseUrl: string
  },
): Record<string, unknown> {
  return {
    server: {
      publicUrl,
      host: '127.0.0.1',
      port,
      management: { port: management },
      redirectDomains: ['127.0.0.1:*'],
      rateLimit: 100000,
    },
    entra: {
      tenantId: DEMO_TENANT_ID,
      clientId: DEMO_CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      authorityHost: entra.url,
      graphUrl: entra.graphUrl,
      allowHttp: true,
    },
    database: { url: databaseUrl, poolSize: 6 },
    session: { secrets: [SESSION_SECRET] },
    keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
    groupMapping: MAPPING,
    log: { level: 'trace' },
  }
}

/** The file that the demo and the compose file run on. */
function demoConfig(
  { publicUrl, port, management, entra, databaseUrl }: {
    publicUrl: string
    port: number | undefined
    management: number | undefined
    entra: EntraSimulator
    databaseUrl: string
  },
): Config {
  return loadConfig('config/demo/gatehouse.yaml', {
    env: {
      DEMO_PUBLIC_URL: publicUrl,
      DEMO_PORT: String(port),
      DEMO_MANAGEMENT_PORT: String(management),
      DEMO_CLIENT_SECRET: CLIENT_SECRET,
      DEMO_ENTRA_URL: entra.url,
      DEMO_GRAPH_URL: entra.graphUrl,
      DEMO_DATABASE_URL: databaseUrl,
      DEMO_SESSION_SECRET: SESSION_SECRET,
      DEMO_ENCRYPTION_SECRET: ENCRYPTION_SECRET,
    },
  }).config
}

function writtenConfig(t: Test, value: Record<string, unknown>, files: Readonly<Record<string, string>>): Config {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-config-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  for (const [name, text] of Object.entries({ ...files, 'gatehouse.yaml': stringify(value) })) {
    writeFileSync(join(directory, name), text)
  }
  return loadConfig(join(directory, 'gatehouse.yaml'), { env: {} }).config
}

/** Maps are merged, everything else is replaced; undefined takes a key away. */
export function merge(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key]
    if (value === undefined) delete merged[key]
    else merged[key] = isRecord(old) && isRecord(value) ? merge(old, value) : value
  }
  return merged
}

/**
 * Below the range that outgoing connections take theirs from, so that nothing takes one between now and the listening.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(20_000, 32_000)
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer().once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) ports.add(port)
  }
  return [...ports]
}
