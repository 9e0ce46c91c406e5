// A Docker engine of its own for the compose files: dockerd in its own network, mount and process namespaces, with its
// data in a temporary folder, so that neither ports nor rules of the machine are touched. Its published ports are
// reached through Unix sockets, which a network namespace does not separate.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { Agent, type Dispatcher } from 'undici'
import { composeImages, COMPOSE_IMAGES } from '../../scripts/install-compose-images.mjs'
import { until } from './until.js'

const execute = promisify(execFile)
const BASE = 'gatehouse-test-base'
const PROGRAMS = ['docker', 'dockerd', 'docker-compose', 'ip', 'iptables', 'nsenter', 'openssl', 'unshare']
/** What a build needs, and the compose files with what they mount. */
const PROJECT = [
  '.dockerignore',
  'Dockerfile',
  'LICENSE',
  'config',
  'compose.production.yml',
  'docker-compose.yml',
  'migrations',
  'package-lock.json',
  'package.json',
  'scripts',
  'src',
  'tsconfig.build.json',
  'tsconfig.json',
]
const CGROUP = 'gatehouse-compose-'

export interface Outcome {
  readonly status: number
  readonly output: string
}
export interface Engine {
  /** A copy of the project, in which `compose` and `shell` run. */
  readonly project: string
  /** First in the PATH of `shell`: programs put there replace the machine's. */
  readonly programs: string
  docker(...args: string[]): Promise<Outcome>
  compose(...args: string[]): Promise<Outcome>
  /** Commands as a guide shows them: `docker compose` is Compose 1.29. */
  shell(script: string): Promise<Outcome>
  /** A program in the network of the engine's host. */
  inside(...command: string[]): Promise<Outcome>
  /** @param pid as the engine reports it */
  signal(name: 'STOP' | 'CONT', pid: string): Promise<Outcome>
  /** Connections to the published ports, for `createBrowser`; every host name is the engine's host. */
  dispatcher(ca?: string): Dispatcher
}

/** `docker compose`, by Compose 1.29, and without the terminal that a person has. */
const DOCKER = `if [ "$1" != compose ]; then PATH=\${PATH#*:} exec docker "$@"; fi
shift
for each; do
  shift
  set -- "$@" "$each"
  case "$each" in exec | run) [ "$1" = -T ] || set -- "$@" -T ;; esac
done
exec docker-compose "$@"`

/** Accepts at Unix sockets called like ports, and passes on to these ports of 127.0.0.1. */
const RELAY = `
const { connect, createServer } = require('node:net')
for (const port of process.argv.slice(2)) createServer((near) => {
  const far = connect(Number(port), '127.0.0.1')
  near.pipe(far).pipe(near)
  near.on('error', () => far.destroy())
  far.on('error', () => near.destroy())
}).listen(process.argv[1] + '/' + port)
`

/** @returns a string that says why there is no engine, where the machine has none to offer */
export async function startEngine(t: Test, ports: readonly number[]): Promise<Engine | string> {
  const image = composeImages()
  if (!existsSync(image)) return 'the images are not there: node scripts/install-compose-images.mjs'
  for (const name of PROGRAMS) {
    if ((await outcome('sh', ['-c', `command -v ${name}`])).status !== 0) return `${name} is not installed`
  }
  removeStaleCgroups()
  const home = mkdtempSync(join(tmpdir(), 'compose-'))
  const cgroup = `${CGROUP}${process.pid}`
  const daemon = startDaemon(home, cgroup)
  const relay: { process?: ChildProcess } = {}
  const close = async (): Promise<void> => {
    await end(relay.process)
    await end(daemon)
    await until(() => removeCgroups(cgroup), 30_000)
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  }
  t.teardown(close)
  closeOnSignals(t, close)

  const engine = createEngine(t, home, daemon)
  const problem = await probe(home, image, daemon, engine.docker)
  if (problem !== undefined) return problem
  relay.process = spawn('nsenter', [
    `--net=/proc/${daemon.pid}/ns/net`,
    '--',
    process.execPath,
    '-e',
    RELAY,
    home,
    ...ports.map(String),
  ], { stdio: 'ignore' })
  if (!await until(() => ports.every((port) => existsSync(join(home, String(port)))))) return 'there is no relay'
  return engine
}

function createEngine(t: Test, home: string, daemon: ChildProcess): Engine {
  const [project, programs] = [join(home, 'gatehouse'), join(home, 'programs')]
  mkdirSync(programs)
  mkdirSync(project)
  for (const each of PROJECT) cpSync(each, join(project, each), { recursive: true })
  const env = {
    ...process.env,
    DOCKER_HOST: `unix://${home}/docker.sock`,
    DOCKER_CONFIG: join(home, 'client'),
    DOCKER_BUILDKIT: '0',
    COMPOSE_HTTP_TIMEOUT: '600',
  }
  const options = { env, cwd: project }
  const path = `${programs}:${process.env.PATH ?? ''}`
  installProgram(programs, 'docker', DOCKER)
  return {
    project,
    programs,
    docker: (...args) => outcome('docker', args, options),
    compose: (...args) => outcome('docker-compose', ['--ansi', 'never', ...args], options),
    shell: (script) => outcome('sh', ['-euc', script], { ...options, env: { ...env, PATH: path } }),
    inside: (...command) => outcome('nsenter', [`--net=/proc/${daemon.pid}/ns/net`, '--', ...command], { env }),
    signal: (name, pid) =>
      outcome('nsenter', [`--pid=/proc/${daemon.pid}/ns/pid_for_children`, '--', 'kill', `-${name}`, pid], { env }),
    dispatcher(ca) {
      const dispatcher = createDispatcher(home, ca)
      t.teardown(() => dispatcher.destroy())
      return dispatcher
    },
  }
}

export function installProgram(folder: string, name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, name), 0o755)
}

function createDispatcher(home: string, ca: string | undefined): Dispatcher {
  return new Agent({
    keepAliveTimeout: 1,
    keepAliveMaxTimeout: 1,
    pipelining: 0,
    connect: ({ hostname, port, protocol }, done) => {
      const secure = protocol === 'https:'
      const near = connect(join(home, port || (secure ? '443' : '80')))
      const socket = secure ? connectTls({ socket: near, servername: hostname, ...(ca && { ca }) }) : near
      socket.once(secure ? 'secureConnect' : 'connect', () => done(null, socket))
      socket.once('error', (error) => done(error, null))
    },
  })
}

function startDaemon(home: string, cgroup: string): ChildProcess {
  const log = openSync(join(home, 'log'), 'w')
  // Layers cannot be laid over an overlay, in which a machine that is a container itself has its files.
  const script = `mkdir -p /etc/docker ${home}/data && mount -t tmpfs none /etc/docker && ip link set lo up || exit 1
    if [ "$(stat -f -c %T ${home})" = overlayfs ]; then mount -t tmpfs none ${home}/data; fi
    exec dockerd \\
    --data-root ${home}/data --exec-root ${home}/exec --pidfile ${home}/pid -H unix://${home}/docker.sock \\
    --storage-driver=overlay2 --cgroup-parent /${cgroup}`
  const child = spawn('unshare', [
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    'sh',
    '-c',
    script,
  ], { stdio: ['ignore', log, log] })
  child.on('error', () => {})
  closeSync(log)
  return child
}

/** All that the suite needs of an engine, before anything is asserted: containers, builds, a published port. */
async function probe(
  home: string,
  image: string,
  daemon: ChildProcess,
  docker: Engine['docker'],
): Promise<string | undefined> {
  const ended = () => daemon.exitCode !== null || daemon.signalCode !== null || daemon.pid === undefined
  const up = await until(async () => ended() || (await docker('info')).status === 0)
  const log = () => readFileSync(join(home, 'log'), 'utf8').slice(-500)
  if (!up || ended()) return `the engine does not start: ${log()}`
  const context = join(home, 'context')
  mkdirSync(context)
  const build = (tag: string, lines: readonly string[]): Promise<Outcome> => {
    writeFileSync(join(context, 'Dockerfile'), [`FROM ${BASE}`, ...lines, ''].join('\n'))
    return docker('build', '--quiet', '--tag', tag, context)
  }
  const stand = Object.entries(COMPOSE_IMAGES)
  const steps: [string, () => Promise<Outcome>][] = [
    ['an import', () => docker('import', image, BASE)],
    ['a container', () => docker('run', '--rm', '--read-only', '--user', '1000', '--cap-drop', 'ALL', BASE, 'true')],
    ['a published port', () => docker('run', '--rm', '--publish', '127.0.0.1:9999:9999', BASE, 'true')],
    ['a build', () => build('gatehouse-test-probe', ['RUN node --version && awk 1 /etc/passwd'])],
    ...stand.map(([tag, lines]): [string, () => Promise<Outcome>] => [tag, () => build(tag, lines)]),
    ['a clean end', () => docker('rmi', 'gatehouse-test-probe')],
  ]
  for (const [name, step] of steps) {
    const { status, output } = await step()
    if (status !== 0) return `${name} fails in the engine: ${output.slice(-500)}`
  }
  return undefined
}

async function outcome(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv, cwd?: string } = {},
): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute(program, args, { ...options, maxBuffer: 1 << 26 })
    return { status: 0, output: stdout || stderr }
  } catch (error) {
    const failure = error as Error & { code?: unknown, stdout?: string, stderr?: string }
    const { code, stdout = '', stderr = '', message } = failure
    return { status: typeof code === 'number' ? code : -1, output: `${stdout}${stderr}` || message }
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await ended
}

/** The control groups are outside of every namespace and folder that ends with the process. */
function closeOnSignals(t: Test, close: () => Promise<void>): void {
  for (const [signal, code] of [['SIGTERM', 143], ['SIGINT', 130], ['SIGHUP', 129]] as const) {
    const leave = (): void => {
      close().finally(() => process.exit(code)).catch(() => {})
    }
    process.once(signal, leave)
    t.teardown(() => {
      process.off(signal, leave)
    })
  }
}

/** Both layouts: one hierarchy, or one for each controller. */
function cgroupRoots(): string[] {
  const root = '/sys/fs/cgroup'
  if (!existsSync(root)) return []
  return [root, ...readdirSync(root).map((each) => join(root, each))]
}

/** @returns whether nothing is left */
function removeCgroups(name: string): boolean {
  const found = cgroupRoots().map((root) => join(root, name)).filter((path) => existsSync(path))
  for (const folder of found) removeCgroup(folder)
  return found.every((path) => !existsSync(path))
}

/** Of a process that was killed. */
function removeStaleCgroups(): void {
  const names = cgroupRoots().flatMap((root) => {
    try {
      return readdirSync(root).filter((name) => name.startsWith(CGROUP))
    } catch {
      return [] // a file
    }
  })
  for (const name of new Set(names)) if (!existsSync(`/proc/${name.slice(CGROUP.length)}`)) removeCgroups(name)
}

function removeCgroup(folder: string): void {
  try {
    for (const each of readdirSync(folder, { withFileTypes: true })) {
      if (each.isDirectory()) removeCgroup(join(folder, each.name))
    }
    rmdirSync(folder)
  } catch { /* a process in it is still ending: it is tried again */ }
}
