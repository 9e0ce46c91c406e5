// A Docker engine of its own for the compose files: dockerd in its own network, mount and process namespaces, with its
// data in a temporary folder, so that neither ports nor rules of the machine are touched. Its published ports are
// reached through Unix sockets, which a network namespace does not part.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { Agent, type Dispatcher } from 'undici'
import { composeImages, COMPOSE_IMAGES } from '../../scripts/install-compose-images.mjs'
import { until } from './until.js'

const execute = promisify(execFile)
const BASE = 'gatehouse-test-base'
/** What a build needs, and the compose files with what they mount. */
const PROJECT = [
  '.dockerignore', 'Dockerfile', 'LICENSE', 'config', 'compose.production.yml', 'docker-compose.yml', 'migrations',
  'package-lock.json', 'package.json', 'scripts', 'src', 'tsconfig.build.json', 'tsconfig.json',
]
const BUILD_MS = 1_200_000

export interface Outcome { readonly status: number, readonly output: string }
export interface Engine {
  /** A copy of the project, in which `compose` runs. */
  readonly project: string
  docker(...args: string[]): Promise<Outcome>
  compose(...args: string[]): Promise<Outcome>
  /** A program in the network of the engine's host. */
  inside(...command: string[]): Promise<Outcome>
  /** Connections to the published ports, for `createBrowser`. */
  readonly dispatcher: Dispatcher
}

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
  for (const name of ['docker', 'dockerd', 'docker-compose', 'ip', 'iptables', 'nsenter', 'unshare']) {
    if ((await outcome('sh', ['-c', `command -v ${name}`])).status !== 0) return `${name} is not installed`
  }
  const home = mkdtempSync(join(tmpdir(), 'compose-'))
  const cgroup = `gatehouse-compose-${process.pid}`
  const daemon = startDaemon(home, cgroup)
  const relay: { process?: ChildProcess } = {}
  t.teardown(async () => {
    await end(relay.process)
    await end(daemon)
    await until(() => removeCgroups(cgroup), 30_000)
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  })

  const project = join(home, 'gatehouse')
  const env = {
    ...process.env, DOCKER_HOST: `unix://${home}/docker.sock`, DOCKER_CONFIG: join(home, 'client'), DOCKER_BUILDKIT: '0',
    COMPOSE_HTTP_TIMEOUT: '600', COMPOSE_INTERACTIVE_NO_CLI: '1',
  }
  const docker = (...args: string[]) => outcome('docker', args, { env, cwd: project })
  const inside = (...command: string[]) =>
    outcome('nsenter', [`--net=/proc/${daemon.pid}/ns/net`, '--', ...command], { env })
  mkdirSync(project)
  for (const each of PROJECT) cpSync(each, join(project, each), { recursive: true })

  const problem = await probe(home, image, daemon, docker)
  if (problem !== undefined) return problem
  relay.process = spawn('nsenter', [
    `--net=/proc/${daemon.pid}/ns/net`, '--', process.execPath, '-e', RELAY, home, ...ports.map(String),
  ], { stdio: 'ignore' })
  if (!await until(() => ports.every((port) => existsSync(join(home, String(port)))))) return 'there is no relay'
  const dispatcher = new Agent({
    keepAliveTimeout: 1, keepAliveMaxTimeout: 1, pipelining: 0,
    connect: ({ port }, done) => {
      const socket = connect(join(home, String(port)))
      socket.once('connect', () => done(null, socket)).once('error', (error) => done(error, null))
    },
  })
  t.teardown(() => dispatcher.destroy())
  return { project, docker, inside, dispatcher, compose: (...args) => outcome('docker-compose', ['--ansi', 'never', ...args], { env, cwd: project }) }
}

function startDaemon(home: string, cgroup: string): ChildProcess {
  const log = openSync(join(home, 'log'), 'w')
  const script = `mkdir -p /etc/docker && mount -t tmpfs none /etc/docker && ip link set lo up && exec dockerd \\
    --data-root ${home}/data --exec-root ${home}/exec --pidfile ${home}/pid -H unix://${home}/docker.sock \\
    --storage-driver=overlay2 --cgroup-parent /${cgroup}`
  const child = spawn('unshare', [
    '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script,
  ], { stdio: ['ignore', log, log] })
  child.on('error', () => {})
  closeSync(log)
  return child
}

/** All that the suite needs of an engine, before anything is asserted: containers, builds, a published port. */
async function probe(home: string, image: string, daemon: ChildProcess, docker: Engine['docker']): Promise<string | undefined> {
  const up = await until(async () => daemon.exitCode !== null || (await docker('info')).status === 0)
  if (!up || daemon.exitCode !== null) return `the engine does not start: ${readFileSync(join(home, 'log'), 'utf8').slice(-500)}`
  const context = join(home, 'context')
  mkdirSync(context)
  const build = (tag: string, lines: readonly string[]): Promise<Outcome> => {
    writeFileSync(join(context, 'Dockerfile'), [`FROM ${BASE}`, ...lines, ''].join('\n'))
    return docker('build', '--quiet', '--tag', tag, context)
  }
  const steps: [string, () => Promise<Outcome>][] = [
    ['an import', () => docker('import', image, BASE)],
    ['a container', () => docker('run', '--rm', '--read-only', '--user', '1000', '--cap-drop', 'ALL', BASE, 'true')],
    ['a published port', () => docker('run', '--rm', '--publish', '127.0.0.1:9999:9999', BASE, 'true')],
    ['a build', () => build('gatehouse-test-probe', ['RUN node --version && awk 1 /etc/passwd'])],
    ...Object.entries(COMPOSE_IMAGES).map(([tag, lines]): [string, () => Promise<Outcome>] => [tag, () => build(tag, lines)]),
    ['a clean end', () => docker('rmi', 'gatehouse-test-probe')],
  ]
  for (const [name, step] of steps) {
    const { status, output } = await step()
    if (status !== 0) return `${name} fails in the engine: ${output.slice(-500)}`
  }
  return undefined
}

async function outcome(program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv, cwd?: string } = {}): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute(program, args, { ...options, timeout: BUILD_MS, maxBuffer: 1 << 26 })
    return { status: 0, output: stdout || stderr }
  } catch (error) {
    const { code, stdout = '', stderr = '', message } = error as Error & { code?: unknown, stdout?: string, stderr?: string }
    return { status: typeof code === 'number' ? code : -1, output: `${stdout}${stderr}` || message }
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  await ended
}

/** Both layouts: one hierarchy, or one for each controller. @returns whether nothing is left */
function removeCgroups(name: string): boolean {
  const root = '/sys/fs/cgroup'
  const found = [join(root, name), ...existsSync(root) ? readdirSync(root).map((each) => join(root, each, name)) : []].filter((path) => existsSync(path))
  for (const folder of found) removeCgroup(folder)
  return found.every((path) => !existsSync(path))
}

function removeCgroup(folder: string): void {
  try {
    for (const each of readdirSync(folder, { withFileTypes: true })) if (each.isDirectory()) removeCgroup(join(folder, each.name))
    rmdirSync(folder)
  } catch { /* a process in it is still ending: it is tried again */ }
}
