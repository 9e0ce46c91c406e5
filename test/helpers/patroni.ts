// Three PostgreSQL with Patroni, one etcd, and HAProxy, which asks Patroni's REST interface for the primary. Every way
// between them is a relay that can be cut: of each server to the others, to etcd, and of the gateways to each server.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chownSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { freePorts } from './gateway.js'
import { kill, ownerOf, processesOf } from './postgres-processes.js'
import { answers, postgresPrograms, program, run } from './programs.js'
import { connect } from './sql.js'
import { startTcpFaultProxy, type TcpFaultProxy } from './tcp-fault-proxy.js'

type Cut = Pick<TcpFaultProxy, 'shut' | 'freeze' | 'open'>

export interface PatroniNode {
  readonly name: string
  /** Of the superuser, past every relay. */
  readonly adminUrl: string
  /** The ways to its peers (replication and REST), to etcd, and from the gateways. */
  readonly peers: Cut
  readonly etcd: Cut
  readonly gateways: Cut
  /** SIGKILL to PostgreSQL, or to Patroni. */
  killPostgres(): void
  killPatroni(): void
  startPatroni(): void
  /** SIGSTOP and SIGCONT to Patroni, PostgreSQL and all its processes. */
  freeze(): void
  thaw(): void
  /** Whether Patroni says that it is the primary. */
  isPrimary(): Promise<boolean>
}

export interface PatroniCluster {
  readonly nodes: readonly PatroniNode[]
  /** As the list of the three hosts. */
  readonly listUrl: string
  /** By HAProxy, which closes the connections to a server that is not the primary any more, or leaves them. */
  readonly closingUrl: string
  readonly leavingUrl: string
  readonly etcd: { stop(): void, start(): Promise<void> }
  /** Waits for a primary. @param not another one than this @throws after two minutes */
  primary(not?: PatroniNode): Promise<PatroniNode>
  /** Waits for three members that stream, in synchronous mode with a synchronous standby. @throws after four minutes */
  healthy(): Promise<void>
  switchover(): Promise<void>
  /** Changes Patroni's configuration in etcd. */
  configure(change: Readonly<Record<string, unknown>>): Promise<void>
}

const DATABASE = 'gatehouse'
const ROLE = 'app'
const SUPERUSER = 'postgres'
const PACKAGES = 'apt-get install --no-install-recommends patroni etcd-server haproxy postgresql'

/** HAProxy counts every server as the primary until three checks have failed. */
const HAPROXY_MS = 12_000

/** As Patroni's documentation has them, with the shortest times that it allows together. */
const TIMES = { ttl: 20, loop_wait: 5, retry_timeout: 5 }

/** @returns undefined where a program is not installed */
export async function startPatroniCluster(
  t: Test,
  { synchronous }: { readonly synchronous: boolean },
): Promise<PatroniCluster | undefined> {
  const postgres = postgresPrograms(t)
  const patroni = process.env.GATEHOUSE_TEST_PATRONI ?? program(t, 'patroni')
  const [etcd, haproxy] = ['etcd', 'haproxy'].map((name) => program(t, name))
  if (!postgres || !patroni || !etcd || !haproxy) {
    t.comment(`This suite needs: ${PACKAGES}`)
    return undefined
  }
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-patroni-'))
  const place: Place = { t, home, owner: ownerOf(home), programs: { postgres, patroni, etcd } }
  t.teardown(() => rmSync(home, { recursive: true, force: true, maxRetries: 10 }))
  printVersions(t, { patroni, etcd, haproxy, postgres: join(postgres, 'postgres') })
  const dcs = await startEtcd(place)
  const nodes: Node[] = []
  for (const name of ['pg1', 'pg2', 'pg3']) nodes.push(await createNode(place, name, dcs.address, synchronous))
  for (const node of nodes) node.startPatroni()
  const cluster = createCluster(t, nodes, dcs, synchronous)
  const primary = await cluster.primary()
  await cluster.healthy()
  const query = await connect(t, primary.adminUrl.replace(`/${DATABASE}`, '/postgres'))
  await query(`create role ${ROLE} login`)
  await query(`create database ${DATABASE} owner ${ROLE}`)
  const [closing = 0, leaving = 0] = await freePorts(2)
  const file = join(home, 'haproxy.cfg')
  writeFileSync(file, haproxyConfig(nodes, { closing, leaving }))
  await run(t, haproxy, ['-db', '-f', file], { port: closing })
  await sleep(HAPROXY_MS)
  const url = (hosts: string, query = ''): string => `postgres://${ROLE}@${hosts}/${DATABASE}${query}`
  return {
    ...cluster,
    listUrl: url(nodes.map(({ listed }) => listed).join(','), '?target_session_attrs=read-write'),
    closingUrl: url(`127.0.0.1:${closing}`),
    leavingUrl: url(`127.0.0.1:${leaving}`),
  }
}

function printVersions(t: Test, programs: Readonly<Record<string, string>>): void {
  for (const path of Object.values(programs)) t.comment(versionOf(path))
}

function versionOf(path: string): string {
  const { stdout } = spawnSync(path, [path.endsWith('haproxy') ? '-v' : '--version'], { encoding: 'utf8' })
  return stdout.split('\n')[0] ?? ''
}

/**
 * Before 3.0.3 Patroni takes the leader key back by etcd's API 3, without a comparison, when it was frozen and
 * continues: the history of its successor is lost, in synchronous mode too. It compares by API 2.
 */
function etcdApi(patroni: string): 'etcd' | 'etcd3' {
  const [major = 0, minor = 0, patch = 0] = (/[\d.]+/.exec(versionOf(patroni))?.[0] ?? '').split('.').map(Number)
  return major > 3 || (major === 3 && (minor > 0 || patch >= 3)) ? 'etcd3' : 'etcd'
}

interface Place {
  readonly t: Test
  readonly home: string
  readonly owner: ReturnType<typeof ownerOf>
  readonly programs: { readonly postgres: string, readonly patroni: string, readonly etcd: string }
}

/** Starts a program as the owner of the folder; its output goes to a file there. */
function start({ home, owner }: Place, path: string, args: readonly string[], log: string): ChildProcess {
  const output = openSync(join(home, log), 'a')
  return spawn(path, args, {
    stdio: ['ignore', output, output],
    cwd: home,
    env: { LC_ALL: 'C', PATH: '/usr/bin:/bin', HOME: home },
    ...owner,
  })
}

async function startEtcd(place: Place) {
  const [client = 0, peer = 0] = await freePorts(2)
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`]
  const args = [
    '--data-dir',
    join(place.home, 'etcd'),
    '--listen-client-urls',
    clientUrl,
    '--advertise-client-urls',
    clientUrl,
    '--listen-peer-urls',
    peerUrl,
    '--initial-advertise-peer-urls',
    peerUrl,
    '--initial-cluster',
    `default=${peerUrl}`,
    '--enable-v2=true',
  ]
  let running: ChildProcess | undefined
  const etcd = {
    address: `127.0.0.1:${client}`,
    stop: (): void => {
      running?.kill('SIGKILL')
    },
    async start(): Promise<void> {
      running = start(place, place.programs.etcd, args, 'etcd.log')
      for (let waited = 0; waited < 30_000 && !await answers(client); waited += 50) await sleep(50)
    },
  }
  place.t.teardown(etcd.stop)
  await etcd.start()
  return etcd
}

interface Node extends PatroniNode {
  /** host:port of Patroni's REST interface, past every relay. */
  readonly rest: string
  /** host:port that the list of hosts has, and that HAProxy has. */
  readonly listed: string
  readonly proxied: string
  /** The last lines of Patroni's log. */
  logged(): string
}

const LINES_LOGGED = 25

/** Cuts both at once. */
function both(one: Cut, other: Cut): Cut {
  const together = (what: 'shut' | 'freeze' | 'open') => (): void => {
    one[what]()
    other[what]()
  }
  return { shut: together('shut'), freeze: together('freeze'), open: together('open') }
}

async function createNode(place: Place, name: string, etcd: string, synchronous: boolean): Promise<Node> {
  const { t, home, owner } = place
  const [postgres = 0, rest = 0] = await freePorts(2)
  const relay = (port: number): Promise<TcpFaultProxy> => startTcpFaultProxy(t, `tcp://127.0.0.1:${port}`)
  const hostOf = ({ url }: TcpFaultProxy): string => new URL(url).host
  const [replication, peerRest, listed, proxied] = [
    await relay(postgres),
    await relay(rest),
    await relay(postgres),
    await relay(postgres),
  ]
  const dcs = await startTcpFaultProxy(t, `tcp://${etcd}`)
  const data = join(home, name)
  mkdirSync(data, { mode: 0o700 })
  if ('uid' in owner) chownSync(data, owner.uid, owner.gid)
  const file = join(home, `${name}.yml`)
  const addresses = { postgres, rest, replication: hostOf(replication), peerRest: hostOf(peerRest), etcd: hostOf(dcs) }
  writeFileSync(file, stringify(patroniConfig(place, name, data, addresses, synchronous)))
  let patroni: ChildProcess | undefined
  const signal = (which: NodeJS.Signals): void => {
    for (const pid of processesOf(data)) kill(pid, which)
  }
  t.teardown(() => {
    patroni?.kill('SIGKILL')
    for (const which of ['SIGCONT', 'SIGQUIT'] as const) signal(which)
  })
  return {
    name,
    rest: `127.0.0.1:${rest}`,
    listed: hostOf(listed),
    proxied: hostOf(proxied),
    adminUrl: `postgres://${SUPERUSER}@127.0.0.1:${postgres}/${DATABASE}`,
    peers: both(replication, peerRest),
    etcd: dcs,
    gateways: both(listed, proxied),
    killPostgres: () => signal('SIGKILL'),
    killPatroni() {
      patroni?.kill('SIGKILL')
    },
    startPatroni() {
      patroni = start(place, place.programs.patroni, [file], `${name}.log`)
    },
    freeze() {
      patroni?.kill('SIGSTOP')
      signal('SIGSTOP')
    },
    thaw() {
      signal('SIGCONT')
      patroni?.kill('SIGCONT')
    },
    logged: () => readFileSync(join(home, `${name}.log`), 'utf8').split('\n').slice(-LINES_LOGGED).join('\n'),
    isPrimary: async () => (await ask(`127.0.0.1:${rest}`, '/primary'))?.status === 200,
  }
}

interface Addresses {
  readonly postgres: number
  readonly rest: number
  readonly replication: string
  readonly peerRest: string
  readonly etcd: string
}

function patroniConfig(
  { home, programs }: Place,
  name: string,
  data: string,
  { postgres, rest, replication, peerRest, etcd }: Addresses,
  synchronous: boolean,
): object {
  const parameters = {
    shared_buffers: '16MB',
    max_connections: 200,
    fsync: 'off',
    wal_keep_size: '128MB',
    unix_socket_directories: home,
  }
  return {
    scope: 'gatehouse',
    name,
    restapi: { listen: `127.0.0.1:${rest}`, connect_address: peerRest },
    [etcdApi(programs.patroni)]: { hosts: [etcd], use_proxies: true }, // not the address that etcd itself advertises
    bootstrap: {
      dcs: {
        ...TIMES,
        maximum_lag_on_failover: 1_048_576,
        synchronous_mode: synchronous,
        postgresql: { use_pg_rewind: true, parameters },
      },
      initdb: [{ encoding: 'UTF8' }, 'no-sync', { auth: 'trust' }],
      pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust'],
    },
    postgresql: {
      listen: `127.0.0.1:${postgres}`,
      connect_address: replication,
      data_dir: data,
      bin_dir: programs.postgres,
      pgpass: join(home, `${name}.pgpass`),
      remove_data_directory_on_diverged_timelines: true,
      authentication: {
        superuser: { username: SUPERUSER, password: 'unused' },
        replication: { username: 'replicator', password: 'unused' },
        rewind: { username: SUPERUSER, password: 'unused' },
      },
    },
    tags: {},
  }
}

/** As in Patroni's documentation. */
function haproxyConfig(nodes: readonly Node[], ports: { readonly closing: number, readonly leaving: number }): string {
  const listen = (name: 'closing' | 'leaving', options: string): string => `
listen ${name}
  bind 127.0.0.1:${ports[name]}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 3s fall 3 rise 2${options}
${
    nodes.map((node) => `  server ${node.name} ${node.proxied} check addr 127.0.0.1 port ${node.rest.split(':')[1]}`)
      .join('\n')
  }
`
  return `global
  maxconn 500
defaults
  mode tcp
  retries 2
  timeout client 30m
  timeout connect 4s
  timeout server 30m
  timeout check 5s
${listen('closing', ' on-marked-down shutdown-sessions')}${listen('leaving', '')}`
}

interface Member {
  readonly role: string
  readonly state: string
  readonly timeline?: number
}

function createCluster(t: Test, nodes: readonly Node[], etcd: PatroniCluster['etcd'], synchronous: boolean) {
  const found = async (not?: PatroniNode): Promise<Node | undefined> => {
    const primaries = await Promise.all(nodes.map(async (node) => node !== not && await node.isPrimary()))
    return nodes.find((_node, index) => primaries[index])
  }
  const waited = async <T>(
    forMs: number,
    what: string,
    look: () => Promise<T | undefined>,
    state: () => unknown = () => '',
  ): Promise<T> => {
    for (const until = performance.now() + forMs; performance.now() < until; await sleep(200)) {
      const result = await look()
      if (result !== undefined) return result
    }
    throw new Error(`no ${what} after ${forMs} ms: ${JSON.stringify(state())}`)
  }
  let seen: readonly Member[] | undefined
  const primary = (not?: PatroniNode): Promise<Node> => waited(120_000, 'primary', () => found(not))
  const send = async (method: string, path: string, body: object): Promise<void> => {
    const answer = await ask((await primary()).rest, path, { method, body: JSON.stringify(body) }, 60_000)
    if (answer?.ok !== true) t.comment(`Patroni answered ${answer?.status} to ${path}: ${await answer?.text()}`)
  }
  return {
    nodes,
    etcd,
    primary,
    healthy: () =>
      waited(240_000, 'healthy cluster', async () => {
        const leader = await found()
        const answer = leader && await ask(leader.rest, '/cluster')
        const { members = [] } = answer?.ok ? await answer.json() as { members?: readonly Member[] } : {}
        seen = members
        return isHealthy(members, synchronous) ? true : undefined
      }, () => seen).then(() => {}, (error: unknown) => {
        for (const node of nodes) t.comment(`the log of ${node.name} ends with\n${node.logged()}`)
        throw error
      }),
    async switchover() {
      await send('POST', '/switchover', { leader: (await primary()).name })
    },
    configure: (change: Readonly<Record<string, unknown>>) => send('PATCH', '/config', change),
  }
}

function isHealthy(members: readonly Member[], synchronous: boolean): boolean {
  return members.length === 3 && members.every(({ state }) => state === 'running' || state === 'streaming') &&
    new Set(members.map(({ timeline }) => timeline)).size === 1 &&
    (!synchronous || members.some(({ role }) => role === 'sync_standby'))
}

/** Of Patroni's REST interface. @returns undefined where it does not answer */
async function ask(
  rest: string,
  path: string,
  init: RequestInit = {},
  timeoutMs = 1_500,
): Promise<Response | undefined> {
  return await fetch(`http://${rest}${path}`, { ...init, signal: AbortSignal.timeout(timeoutMs) }).catch(() =>
    undefined
  )
}
