// Two PostgreSQL servers, a primary and its streaming standby, from the distribution's programs. Each may be promoted,
// stopped, killed, frozen and thawed. They run as an ordinary user, because PostgreSQL does not run as root.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePorts } from './gateway.js'
import { kill, ownerOf, processesOf } from './postgres-processes.js'
import { postgresPrograms } from './programs.js'
import { connect } from './sql.js'

export interface PairServer {
  readonly name: 'a' | 'b'
  /** 127.0.0.1:port */
  readonly address: string
  /** Of the application's role, which is no superuser. */
  readonly url: string
  /** Of the superuser. */
  readonly adminUrl: string
  promote(): void
  /** @param mode as pg_ctl names it; `immediate` is a crash */
  stop(mode: 'fast' | 'immediate'): void
  start(): void
  /** SIGSTOP to the server and all its processes. */
  freeze(): void
  thaw(): void
  /** Rejoins as a standby of the other one, after it was stopped. */
  rejoin(): void
  /** A standby that was stopped starts as a primary on its own, without a promotion: on the same timeline. */
  startAlone(): void
  /** Copies its data while it runs. @returns what puts the copy in place of the data, for the stopped server */
  backup(): () => void
}

export interface StreamingPair {
  readonly a: PairServer
  readonly b: PairServer
}

const DATABASE = 'gatehouse'
const ROLE = 'app'
const SUPERUSER = 'postgres'
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'fsync=off',
  'wal_level=replica',
  'wal_log_hints=on', // for pg_rewind
  'shared_buffers=32MB',
  'max_connections=60',
  'hot_standby=on',
  'wal_keep_size=64MB',
  'max_prepared_transactions=5',
]

/** `a` is the primary, `b` streams from it. @returns undefined where the programs are not installed */
export async function startStreamingPair(t: Test): Promise<StreamingPair | undefined> {
  const programs = postgresPrograms(t)
  if (programs === undefined) return undefined
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-pair-'))
  const [portA = 0, portB = 0] = await freePorts(2)
  const owner = ownerOf(home)
  const run = (name: string, args: readonly string[]): void => {
    execFileSync(join(programs, name), args, {
      stdio: 'ignore',
      cwd: home,
      env: { LC_ALL: 'C', PATH: '/usr/bin' },
      ...owner,
    })
  }
  const server = (name: 'a' | 'b', port: number, other: number): PairServer => {
    const data = join(home, name)
    const control = (...args: readonly string[]): void => run('pg_ctl', ['-D', data, '-w', ...args])
    const signal = (which: NodeJS.Signals): void => {
      for (const pid of processesOf(data)) kill(pid, which)
    }
    const options = [`-p ${port}`, `-k ${home}`, ...SETTINGS.map((setting) => `-c ${setting}`)].join(' ')
    const start = (): void => control('-l', join(home, `${name}.log`), '-o', options, 'start')
    return {
      name,
      address: `127.0.0.1:${port}`,
      url: `postgres://${ROLE}@127.0.0.1:${port}/${DATABASE}`,
      adminUrl: `postgres://${SUPERUSER}@127.0.0.1:${port}/${DATABASE}`,
      promote: () => control('promote'),
      stop: (mode) => control('-m', mode, 'stop'),
      start,
      freeze: () => signal('SIGSTOP'),
      thaw: () => signal('SIGCONT'),
      rejoin() {
        const source = `host=127.0.0.1 port=${other} user=${SUPERUSER} dbname=${DATABASE}`
        run('pg_rewind', ['-D', data, `--source-server=${source}`, '-R', '--no-sync'])
        start()
      },
      startAlone() {
        rmSync(join(data, 'standby.signal'))
        start()
      },
      backup() {
        const copy = mkdtempSync(join(home, 'backup-'))
        rmSync(copy, { recursive: true })
        run('pg_basebackup', baseBackup(port, copy))
        return () => {
          rmSync(data, { recursive: true })
          cpSync(copy, data, { recursive: true })
          if ('uid' in owner) execFileSync('chown', ['-R', `${owner.uid}:${owner.gid}`, data])
          chmodSync(data, 0o700)
        }
      },
    }
  }
  const pair = { a: server('a', portA, portB), b: server('b', portB, portA) }
  t.teardown(() => {
    for (const name of ['a', 'b']) {
      for (const which of ['SIGCONT', 'SIGQUIT'] as const) {
        for (const pid of processesOf(join(home, name))) kill(pid, which)
      }
    }
    rmSync(home, { recursive: true, force: true, maxRetries: 10 })
  })
  run('initdb', ['-D', join(home, 'a'), '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--no-sync'])
  pair.a.start()
  const query = await connect(t, pair.a.adminUrl.replace(`/${DATABASE}`, '/postgres'))
  await query(`create role ${ROLE} login`)
  await query(`create database ${DATABASE} owner ${ROLE}`)
  run('pg_basebackup', [...baseBackup(portA, join(home, 'b')), '-R'])
  pair.b.start()
  return pair
}

function baseBackup(port: number, folder: string): readonly string[] {
  const source = ['-h', '127.0.0.1', '-p', String(port), '-U', SUPERUSER]
  return [...source, '-D', folder, '--checkpoint=fast', '--no-sync']
}

/** From now on a commit on the primary waits for the standby. */
export async function makeSynchronous(t: Test, primary: PairServer): Promise<void> {
  const query = await connect(t, primary.adminUrl)
  await query("alter system set synchronous_standby_names = '*'")
  await query('select pg_reload_conf()')
}

/** An address that new connections reach another server by, once it was moved; established ones stay where they are. */
export interface ServiceAddress {
  /** 127.0.0.1:port */
  readonly address: string
  moveTo(server: PairServer): void
  /** The connections that are established now break. */
  cut(): void
}

/** As a virtual IP, a DNS name or a proxy that ends no sessions. */
export async function startServiceAddress(t: Test, first: PairServer): Promise<ServiceAddress> {
  const sockets = new Set<Socket>()
  let target = first
  const relay = createServer((incoming) => {
    const outgoing = connectSocket(Number(target.address.split(':')[1]), '127.0.0.1')
    for (const [from, to] of [[incoming, outgoing], [outgoing, incoming]] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    cut()
    relay.close()
  })
  return {
    address: `127.0.0.1:${(relay.address() as { port: number }).port}`,
    moveTo(server) {
      target = server
    },
    cut,
  }
}
