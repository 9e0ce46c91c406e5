// `gatehouse demo`: a whole small world on loopback with nothing to register and nothing installed. It composes what
// the product and the demo folder offer; only the gateway in it is real.
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../config/load.js'
import { expand } from '../config/variables.js'
import { GatehouseError } from '../core/errors.js'
import { APPLICATIONS } from '../demo/applications.js'
import { createDirectory } from '../demo/directory.js'
import { startDownstream } from '../demo/downstream.js'
import { startEntra } from '../demo/entra/server.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PEOPLE, seedDemoDirectory } from '../demo/people.js'
import { startDemoProxy } from '../demo/proxy.js'
import { terminalLog } from '../demo/terminal-log.js'
import { createLogger } from '../telemetry/logger.js'
import { startGateway } from '../server.js'
import { openDatabase } from '../store/database.js'
import { serverAccount, temporaryFolder } from '../store/embedded-account.js'
import { startEmbeddedPostgres } from '../store/embedded.js'
import { createGroupStore } from '../store/groups.js'
import { migrate } from '../store/migrate.js'
import { createPeopleStore } from '../store/people.js'
import { rightsOf } from '../store/rights.js'
import { startTracing } from '../telemetry/tracing/tracing.js'
import { VERSION } from '../version.js'
import { EXIT, print, printJson, type CommonOptions } from './context.js'
import { readGroupsFile } from './groups-file.js'

const CONFIG = fileURLToPath(new URL('../../config/demo/gatehouse.yaml', import.meta.url))
const GROUPS = fileURLToPath(new URL('../../config/demo/groups.yaml', import.meta.url))
const DEFAULT_PORT = 8080
/** A closed terminal ends it as Ctrl-C does. */
const ENDS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

export async function demo(options: CommonOptions & { readonly port?: number }): Promise<number> {
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ENDS) process.once(signal, () => resolve())
  })
  stopped.then(() => process.stderr.write('stopping...\n'), () => {})
  const closers: (() => Promise<unknown> | void)[] = []
  try {
    const place = await startDemo(options, closers)
    if (options.json) printJson(place)
    else printWelcome(place)
    await stopped
    return EXIT.ok
  } finally {
    for (const close of closers.reverse()) {
      await Promise.resolve(close()).catch((error: unknown) => process.stderr.write(`gatehouse: ${String(error)}\n`))
    }
  }
}

/** What the demo tells its visitors. */
interface DemoPlace {
  readonly url: string
  /** The application that lets circuit managers in alone. */
  readonly circuits: string
  /** Another terminal may ask this configuration, for as long as the demo runs. */
  readonly config: string
}

async function startDemo(
  options: CommonOptions & { readonly port?: number },
  closers: (() => Promise<unknown> | void)[],
): Promise<DemoPlace> {
  const home = temporaryFolder(serverAccount(), 'gatehouse-demo-')
  closers.push(() => rmSync(home, { recursive: true, force: true }))
  const appPort = await choosePort(options.port)
  const circuitsPort = await freePort()
  const gatewayPort = await freePort()
  const publicUrl = `http://127.0.0.1:${gatewayPort}`
  const postgres = await startEmbeddedPostgres(home, {
    throwAway: true,
    onEnd: ({ message, remedy }) => process.stderr.write(`gatehouse: ${message}\n    ${remedy ?? ''}\n`),
  })
  closers.push(() => postgres.stop())
  const secret = () => randomBytes(32).toString('base64url')
  const clientSecret = secret()
  const entra = await startDemoEntra(publicUrl, clientSecret)
  closers.push(() => entra.close())
  const [host, circuitsHost] = [`127.0.0.1:${appPort}`, `127.0.0.1:${circuitsPort}`]
  const file = writeConfig(home, options.config ?? CONFIG, {
    ...process.env,
    DEMO_FILES: dirname(CONFIG),
    DEMO_NETWORK_HOST: host,
    DEMO_CIRCUITS_HOST: circuitsHost,
    DEMO_PUBLIC_URL: publicUrl,
    DEMO_PORT: String(gatewayPort),
    DEMO_MANAGEMENT_PORT: '0',
    DEMO_CLIENT_SECRET: clientSecret,
    DEMO_ENTRA_URL: entra.url,
    DEMO_GRAPH_URL: entra.graphUrl,
    DEMO_DATABASE_URL: postgres.url,
    DEMO_SESSION_SECRET: secret(),
    DEMO_ENCRYPTION_SECRET: secret(),
  })
  const { config } = loadConfig(file, { env: process.env })
  const tracing = await startTracing(process.env, VERSION)
  const log = createLogger(config.log, destination(), tracing.logFields)
  tracing.tellTo(log)
  await addGroups(postgres.url) // before the gateway looks for those that its mapping names
  const gateway = await startGateway(() => config, { log, tracing, lingerMs: 0 })
  closers.push(() => gateway.close())
  for (const signal of ENDS) process.once(signal, gateway.drain)
  const people = createPeopleStore(gateway.database, config.session)
  const why = async (username: string) =>
    reasonsOf(rightsOf(await people.find(username), config.groupMapping, undefined))
  const sites = [
    {
      application: APPLICATIONS.network,
      port: appPort,
      other: { ...APPLICATIONS.circuits, url: `http://${circuitsHost}/` },
    },
    {
      application: APPLICATIONS.circuits,
      port: circuitsPort,
      other: { ...APPLICATIONS.network, url: `http://${host}/` },
    },
  ]
  for (const { application, port, other } of sites) {
    const serving = { host: '127.0.0.1', port: 0, gatewayUrl: publicUrl, application, others: [other], why }
    const downstream = await startDownstream(serving)
    closers.push(() => downstream.close())
    const proxy = await startDemoProxy({ host: '127.0.0.1', port, gateway: publicUrl, upstream: downstream.url })
    closers.push(() => proxy.close())
  }
  return { url: `http://${host}/`, circuits: `http://${circuitsHost}/`, config: file }
}

/** The demo's configuration with everything filled in, so that other commands can be tried on it. */
function writeConfig(home: string, from: string, env: NodeJS.ProcessEnv): string {
  const file = join(home, 'gatehouse.yaml')
  writeFileSync(file, expand(readFileSync(from, 'utf8'), env).text, { mode: 0o600 })
  return file
}

/** What the demo is about, in one line each; where a level or a format is asked for, the log as it is. */
function destination(): ReturnType<typeof terminalLog> | undefined {
  const { DEMO_LOG_LEVEL, DEMO_LOG_FORMAT } = process.env
  if (DEMO_LOG_LEVEL !== undefined || DEMO_LOG_FORMAT !== undefined) return undefined
  return terminalLog((line) => process.stderr.write(`${line}\n`))
}

async function addGroups(url: string): Promise<void> {
  await migrate(url)
  const database = openDatabase({ url, poolSize: 1 })
  await createGroupStore(database).apply(readGroupsFile(GROUPS), { actor: 'demo', dryRun: false }).finally(() =>
    database.close()
  )
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
      optionalClaims: ['email', 'sid', 'login_hint', 'xms_edov', 'acct', 'given_name', 'family_name'],
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

function printWelcome({ url, circuits, config }: DemoPlace): void {
  print(
    `\nGatehouse demo is running. Open\n\n    ${url}\n\nand sign in as one of these people (there are no passwords):\n`,
  )
  const width = Math.max(...Object.values(PEOPLE).map((person) => person.displayName.length))
  for (const person of Object.values(PEOPLE)) print(`    ${person.displayName.padEnd(width)}  ${person.note ?? ''}`)
  print(`\nTry as each of them:

    ${url}staff/  staff alone
    ${url}admin/  superusers alone
    ${circuits}  another application: circuit managers alone, such as Max Many

See who has what and why, from another terminal:

    ${commandLine()} users list --why --config ${quoted(config)}

Sign-ins and refusals are written below. The Entra ID is simulated; everything else is real.
Ctrl-C ends it and leaves nothing behind.\n`)
}

function commandLine(): string {
  const cli = fileURLToPath(new URL('../cli.js', import.meta.url))
  const near = relative(process.cwd(), cli)
  return `node ${quoted(near.startsWith('..') ? cli : near)}`
}

function quoted(path: string): string {
  return /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

/** The asked-for port must be free; the usual one gives way. */
async function choosePort(asked: number | undefined): Promise<number> {
  const wanted = asked ?? DEFAULT_PORT
  try {
    return await freePort(wanted)
  } catch (cause) {
    if (asked === undefined) return await freePort()
    throw new GatehouseError('port_unusable', {
      cause,
      detail: `port ${wanted} is in use`,
      remedy: `Give another one: ${
        process.env.npm_lifecycle_event === 'demo' ? 'npm run demo --' : 'gatehouse demo'
      } --port 8099`,
    })
  }
}

function freePort(port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}
