// `gatehouse demo`: a whole small world on loopback with nothing to register and nothing installed. It composes what the
// product and the demo folder offer; only the gateway in it is real.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../config/load.js'
import { GatehouseError } from '../core/errors.js'
import { createDirectory } from '../demo/directory.js'
import { startDownstream } from '../demo/downstream.js'
import { startEntra } from '../demo/entra/server.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PEOPLE, seedDemoDirectory } from '../demo/people.js'
import { startDemoProxy } from '../demo/proxy.js'
import { createLogger } from '../log.js'
import { startGateway, VERSION } from '../server.js'
import { openDatabase } from '../store/database.js'
import { startEmbeddedPostgres } from '../store/embedded.js'
import { createGroupStore } from '../store/groups.js'
import { migrate } from '../store/migrate.js'
import { createPeopleStore } from '../store/people.js'
import { rightsOf } from '../store/rights.js'
import { startTracing } from '../tracing/tracing.js'
import { EXIT, print, printJson, type CommonOptions } from './context.js'
import { readGroupsFile } from './groups-file.js'

const CONFIG = fileURLToPath(new URL('../../config/demo/gatehouse.yaml', import.meta.url))
const GROUPS = fileURLToPath(new URL('../../config/demo/groups.yaml', import.meta.url))
const DEFAULT_PORT = 8080

export async function demo(options: CommonOptions & { readonly port?: number }): Promise<number> {
  const stopped = new Promise<void>((resolve) => { for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve()) })
  const closers: (() => Promise<unknown> | void)[] = []
  try {
    const url = await startDemo(options, closers)
    if (options.json) printJson({ url })
    else printWelcome(url)
    await stopped
    return EXIT.ok
  } finally {
    for (const close of closers.reverse()) await Promise.resolve(close()).catch((error: unknown) => process.stderr.write(`gatehouse: ${String(error)}\n`))
  }
}

async function startDemo(options: CommonOptions & { readonly port?: number }, closers: (() => Promise<unknown> | void)[]): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-demo-'))
  chmodSync(home, 0o711) // started by root, the database server runs as a user of its own and must get through
  closers.push(() => rmSync(home, { recursive: true, force: true }))
  const appPort = await choosePort(options.port)
  const gatewayPort = await freePort()
  const publicUrl = `http://127.0.0.1:${gatewayPort}`
  const postgres = await startEmbeddedPostgres(join(home, 'data'))
  closers.push(() => postgres.stop())
  const secret = () => randomBytes(32).toString('base64url')
  const clientSecret = secret()
  const entra = await startDemoEntra(publicUrl, clientSecret)
  closers.push(() => entra.close())
  const { config } = loadConfig(options.config ?? CONFIG, {
    env: {
      DEMO_LOG_LEVEL: 'warn',
      DEMO_LOG_FORMAT: 'text',
      ...process.env,
      DEMO_PUBLIC_URL: publicUrl,
      DEMO_PORT: String(gatewayPort),
      DEMO_MANAGEMENT_PORT: '0',
      DEMO_CLIENT_SECRET: clientSecret,
      DEMO_ENTRA_URL: entra.url,
      DEMO_GRAPH_URL: entra.graphUrl,
      DEMO_DATABASE_URL: postgres.url,
      DEMO_SESSION_SECRET: secret(),
      DEMO_ENCRYPTION_SECRET: secret(),
    },
  })
  const tracing = await startTracing(process.env, VERSION)
  const log = createLogger(config.log, undefined, tracing.logFields)
  tracing.tellTo(log)
  await addGroups(postgres.url) // before the gateway looks for those that its mapping names
  const gateway = await startGateway(() => config, { log, tracing, lingerMs: 0 })
  closers.push(() => gateway.close())
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, gateway.drain) // Ctrl-C reaches PostgreSQL too
  const people = createPeopleStore(gateway.database, config.session)
  const downstream = await startDownstream({ host: '127.0.0.1', port: 0, gatewayUrl: publicUrl, why: async (username) => reasonsOf(rightsOf(await people.find(username), config.groupMapping, undefined)) })
  closers.push(() => downstream.close())
  const proxy = await startDemoProxy({ host: '127.0.0.1', port: appPort, gateway: publicUrl, upstream: downstream.url })
  closers.push(() => proxy.close())
  return `${proxy.url}/`
}

async function addGroups(url: string): Promise<void> {
  await migrate(url)
  const database = openDatabase({ url, poolSize: 1 })
  await createGroupStore(database).apply(readGroupsFile(GROUPS), { actor: 'demo', dryRun: false }).finally(() => database.close())
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
  const sentence = (reason: NonNullable<typeof staff>) => `because of ${reason.entraGroups.map(({ id, label }) => label ?? `Entra group ${id}`).join(' and ')}${reason.since === null ? '' : `, since ${reason.since.slice(0, 10)}`}`
  return [
    ...(staff ? [{ right: 'Staff', because: sentence(staff) }] : []),
    ...(superuser ? [{ right: 'Superuser', because: sentence(superuser) }] : []),
    ...groups.map(({ name, reason }) => ({ right: name, because: sentence(reason) })),
  ]
}

function printWelcome(url: string): void {
  print(`\nGatehouse demo is running. Open\n\n    ${url}\n\nand sign in as one of these people (there are no passwords):\n`)
  const width = Math.max(...Object.values(PEOPLE).map((person) => person.displayName.length))
  for (const person of Object.values(PEOPLE)) print(`    ${person.displayName.padEnd(width)}  ${person.note ?? ''}`)
  print('\nThe Entra ID is simulated; everything else is real. Ctrl-C ends it and leaves nothing behind.')
}

/** The asked-for port must be free; the usual one gives way. */
async function choosePort(asked: number | undefined): Promise<number> {
  const wanted = asked ?? DEFAULT_PORT
  try {
    return await freePort(wanted)
  } catch (cause) {
    if (asked === undefined) return await freePort()
    throw new GatehouseError('port_unusable', { cause, detail: `port ${wanted} is in use`, remedy: 'Give another one: gatehouse demo --port 8099' })
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
