// The processes of the embedded server: initdb once, then postgres, both as the user who owns the cluster.
import { spawn, type ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Programs } from './embedded-account.js'
import { lentPassword, type Cluster } from './embedded-cluster.js'
import { SOCKET_PORT, type Place } from './embedded-endpoint.js'
import type { ServerLog } from './embedded-failure.js'
import type { Keeper } from './embedded-watchdog.js'
import { createClient } from './postgres-client.js'

const READY = /database system is ready to accept connections/

export async function makeCluster(
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

export async function runServer(
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

export async function makeDatabase(url: string): Promise<void> {
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
