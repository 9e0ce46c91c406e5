// `gatehouse demo`: a gateway, a simulated Entra ID, two applications and their proxies on loopback, without any
// registration or installation. Only the gateway is the real one.
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createActUseCases, groupPolicyOf } from '../act-use-cases.js'
import type { Config } from '../config/config.js'
import { loadConfig } from '../config/load.js'
import { expand } from '../config/variables.js'
import { runningConfig } from '../config/running-config.js'
import { APPLICATIONS } from '../demo/applications.js'
import { createDirectory } from '../demo/directory.js'
import { startDownstream } from '../demo/downstream.js'
import { startEntra } from '../demo/entra/server.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, seedDemoDirectory } from '../demo/people.js'
import { startDemoProxy } from '../demo/proxy.js'
import { terminalLog } from '../demo/terminal-log.js'
import { createLogger } from '../telemetry/logger.js'
import type { Gateway } from '../gateway.js'
import { startGateway } from '../server.js'
import { openDatabase } from '../store/database.js'
import { createAuditSealer } from '../store/audit-seals.js'
import { serverAccount, temporaryFolder } from '../store/embedded-account.js'
import { startEmbeddedPostgres } from '../store/embedded.js'
import { migrate } from '../store/migrate.js'
import { createPeopleStore } from '../store/people.js'
import { rightsOf } from '../store/rights.js'
import { startTracing } from '../telemetry/tracing/tracing.js'
import { VERSION } from '../version.js'
import { EXIT, printJson, type CommonOptions } from './context.js'
import { writeDemoHistory } from './demo-history.js'
import { DEMO_ACTING, deployFirst, withoutPolicy, type DemoPolicy } from './demo-policy.js'
import { chooseDemoPorts, type DemoPorts } from './demo-ports.js'
import { printWelcome, type DemoAddresses } from './demo-welcome.js'
import { readGroupsFile } from './groups-file.js'
import { createStopSignal } from './stop-signal.js'

const CONFIG = fileURLToPath(new URL('../../config/demo/gatehouse.yaml', import.meta.url))
const GROUPS = fileURLToPath(new URL('../../config/demo/groups.yaml', import.meta.url))
/** SIGHUP: a terminal that is closed stops the demo as Ctrl-C does. */
const STOP_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

type DemoOptions = CommonOptions & { readonly port?: number }
type Closers = (() => Promise<unknown> | void)[]

export async function demo(options: DemoOptions): Promise<number> {
  const { received } = createStopSignal(STOP_SIGNALS)
  received.then(() => process.stderr.write('stopping...\n'), () => {})
  const closers: Closers = []
  try {
    const addresses = await startDemo(options, closers)
    if (options.json) printJson(addresses)
    else printWelcome(addresses)
    await received
    return EXIT.ok
  } finally {
    for (const close of closers.reverse()) {
      await Promise.resolve(close()).catch((error: unknown) => process.stderr.write(`gatehouse: ${String(error)}\n`))
    }
  }
}

async function startDemo(options: DemoOptions, closers: Closers): Promise<DemoAddresses> {
  const home = temporaryFolder(serverAccount(), 'gatehouse-demo-')
  closers.push(() => rmSync(home, { recursive: true, force: true }))
  const ports = await chooseDemoPorts(options.port)
  const publicUrl = `http://127.0.0.1:${ports.gateway}`
  const postgres = await startEmbeddedPostgres(home, {
    throwAway: true,
    onEnd: ({ message, remedy }) => process.stderr.write(`gatehouse: ${message}\n    ${remedy ?? ''}\n`),
  })
  closers.push(() => postgres.stop())
  const clientSecret = randomSecret()
  const entra = await startDemoEntra(publicUrl, clientSecret)
  closers.push(() => entra.close())
  const { file, policy } = writeConfig(home, options.config, {
    DEMO_FILES: dirname(CONFIG),
    DEMO_NETWORK_HOST: `127.0.0.1:${ports.network}`,
    DEMO_CIRCUITS_HOST: `127.0.0.1:${ports.circuits}`,
    DEMO_PUBLIC_URL: publicUrl,
    DEMO_PORT: String(ports.gateway),
    DEMO_MANAGEMENT_PORT: '0',
    DEMO_CLIENT_SECRET: clientSecret,
    DEMO_ENTRA_URL: entra.url,
    DEMO_GRAPH_URL: entra.graphUrl,
    DEMO_DATABASE_URL: postgres.url,
    DEMO_SESSION_SECRET: randomSecret(),
    DEMO_ENCRYPTION_SECRET: randomSecret(),
  })
  const { config } = loadConfig(file, { env: process.env })
  // before the gateway checks that the groups of its mapping exist
  const { groupMapping } = await fillDatabase(postgres.url, config, policy)
  const gateway = await startDemoGateway(config, closers)
  await startApplications({ gateway, config: { ...config, groupMapping }, ports }, closers)
  const [url, circuits] = [ports.network, ports.circuits].map((port) => `http://127.0.0.1:${port}/`) as [string, string]
  return { url, circuits, console: `${publicUrl}/admin`, config: file }
}

const randomSecret = (): string => randomBytes(32).toString('base64url')

const ADMIN_CONSOLE = '\nadmin: {}\n'

interface DemoConfig {
  readonly file: string
  /** Undefined: it stays in the file. */
  readonly policy: DemoPolicy | undefined
}

/**
 * The configuration with the variables replaced and the console switched on, for other commands too.
 * @param own a file that the user has given, whose policy stays where it is; undefined: that of the demo
 */
function writeConfig(home: string, own: string | undefined, variables: NodeJS.ProcessEnv): DemoConfig {
  const file = join(home, 'gatehouse.yaml')
  const { text } = expand(readFileSync(own ?? CONFIG, 'utf8'), { ...process.env, ...variables })
  const complete = /^admin:/m.test(text) ? text : `${text}${ADMIN_CONSOLE}`
  const { rest, policy } = own === undefined ? withoutPolicy(complete) : { rest: complete }
  writeFileSync(file, rest, { mode: 0o600 })
  return { file, policy }
}

async function startDemoGateway(config: Config, closers: Closers): Promise<Gateway> {
  const tracing = await startTracing(process.env, VERSION)
  const log = createLogger(config.log, logDestination(), tracing.logFields)
  tracing.reportTo(log)
  const gateway = await startGateway(runningConfig(() => config), { log, tracing, lingerMs: 0 })
  closers.push(() => gateway.close())
  for (const signal of STOP_SIGNALS) process.once(signal, gateway.drain)
  return gateway
}

/** One line for each sign-in and refusal; the full log if a level or a format is requested. */
function logDestination(): ReturnType<typeof terminalLog> | undefined {
  const { DEMO_LOG_LEVEL, DEMO_LOG_FORMAT } = process.env
  if (DEMO_LOG_LEVEL !== undefined || DEMO_LOG_FORMAT !== undefined) return undefined
  return terminalLog((line) => process.stderr.write(`${line}\n`))
}

interface DemoGateway {
  readonly gateway: Gateway
  readonly config: Config
  readonly ports: DemoPorts
}

/** The two applications, each behind a proxy of its own. */
async function startApplications({ gateway, config, ports }: DemoGateway, closers: Closers): Promise<void> {
  const people = createPeopleStore(gateway.database, config.session)
  const why = async (username: string) =>
    reasonsOf(rightsOf(await people.find(username), config.groupMapping, undefined))
  const gatewayUrl = `http://127.0.0.1:${ports.gateway}`
  for (const name of ['network', 'circuits'] as const) {
    const otherName = name === 'network' ? 'circuits' : 'network'
    const downstream = await startDownstream({
      host: '127.0.0.1',
      port: 0,
      gatewayUrl,
      application: APPLICATIONS[name],
      others: [{ ...APPLICATIONS[otherName], url: `http://127.0.0.1:${ports[otherName]}/` }],
      why,
    })
    closers.push(() => downstream.close())
    const upstream = downstream.url
    const proxy = await startDemoProxy({ host: '127.0.0.1', port: ports[name], gateway: gatewayUrl, upstream })
    closers.push(() => proxy.close())
  }
}

/** The groups, the first version of the policy, and a week of made-up history for the console. */
async function fillDatabase(url: string, file: Config, policy: DemoPolicy | undefined): Promise<Config> {
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 1 })
  try {
    const acts = createActUseCases({
      database,
      timeouts: file.session,
      encryptionSecrets: file.keys.encryptionSecrets,
      reservedUsernames: () => file.reservedUsernames,
      groupPolicy: () => groupPolicyOf(file),
    })
    await acts.groups.apply(readGroupsFile(GROUPS), { dryRun: false }, DEMO_ACTING)
    const config = policy === undefined ? file : await deployFirst(policy, file, { database, acts })
    await writeDemoHistory(database, config)
    const { keys: { encryptionSecrets: secrets }, audit: { retentionMs } } = file
    await createAuditSealer(database, { secrets, retentionMs }).run() // otherwise its old rows would wait for a minute
    return config
  } finally {
    await database.close()
  }
}

function startDemoEntra(publicUrl: string, clientSecret: string) {
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  return startEntra({
    directory,
    app: {
      clientId: DEMO_CLIENT_ID,
      displayName: 'Gatehouse demo',
      redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`],
      secrets: [{ id: 'f0000000-0000-4000-8000-000000000001', value: clientSecret }],
      applicationPermissions: [],
      delegatedPermissions: ['User.Read'],
      optionalClaims: ['email', 'sid', 'login_hint', 'auth_time', 'xms_edov', 'acct', 'given_name', 'family_name'],
    },
  })
}

function reasonsOf({ groups, staff, superuser }: ReturnType<typeof rightsOf>): { right: string, because: string }[] {
  const sentence = (reason: NonNullable<typeof staff>) =>
    `because of ${reason.entraGroups.map(({ id, label }) => label ?? `Entra group ${id}`).join(' and ')}${
      reason.since === null ? '' : `, since ${reason.since.slice(0, 10)}`
    }`
  return [
    ...(staff ? [{ right: 'Staff', because: sentence(staff) }] : []),
    ...(superuser ? [{ right: 'Superuser', because: sentence(superuser) }] : []),
    ...groups.map(({ name, reason }) => ({ right: name, because: sentence(reason) })),
  ]
}
