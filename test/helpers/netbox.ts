// The real NetBox for tests: gunicorn on the installation of scripts/install-netbox.mjs, with a database of its own,
// Redis, and the plugin of integrations/netbox.
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { configuration, isInstalled, netboxFolder } from '../../scripts/install-netbox.mjs'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'
import { freePorts } from './gateway.js'
import { program, run, skip } from './programs.js'
import { folder } from './proxies.js'

const READY_MS = 300_000

export interface NetBox {
  readonly port: number
  /** Of NetBox's collected static files. */
  readonly staticFolder: string
  /** A token of its local administrator. */
  readonly token: string
  readonly databaseUrl: string
  /** Runs `netbox` with these arguments. @returns what it printed */
  command(...args: readonly string[]): string
  /** What the server that runs now has printed. */
  output(): string
  /** The same database and the same port with other settings. */
  restart(settings: string): Promise<void>
}

/** @param settings the guide's block @returns undefined where it cannot run here; the test is skipped then */
export async function startNetBox(t: Test, settings: string): Promise<NetBox | undefined> {
  const home = netboxFolder()
  if (!isInstalled(home)) {
    skip(t, `${home} is not there: node scripts/install-netbox.mjs`)
    return undefined
  }
  const redis = program(t, 'redis-server')
  if (redis === undefined) return undefined
  const place = folder(t, 'netbox')
  chmodSync(place, 0o711) // started by root, PostgreSQL runs as another user
  spawnSync('cp', ['-a', join(home, 'database'), place])
  const postgres = await startEmbeddedPostgres(join(place, 'database'), { tcp: true })
  t.teardown(() => postgres.stop())
  const [redisPort = 0, port = 0] = await freePorts(2)
  const onLoopback = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '']
  await run(t, redis, onLoopback, { port: redisPort, cwd: place })
  const root = join(place, 'root')
  mkdirSync(join(root, 'conf'), { recursive: true })
  writeFileSync(join(root, 'conf/__init__.py'), '')
  symlinkSync(join(home, 'static'), join(root, 'static'))
  installPlugin(join(home, 'v/bin/python'), place)
  const env = { NETBOX_ROOT: root, PYTHONPATH: resolve(place, 'plugins'), PYTHONUNBUFFERED: '1' }
  const args = ['--bind', `127.0.0.1:${port}`, '--workers', '1', '--threads', '4', '--timeout', '300', 'netbox.wsgi']
  const serve = async (settings: string) => {
    const own = configuration({ databaseUrl: postgres.url, redisPort })
    writeFileSync(join(root, 'conf/configuration.py'), `${own}\n${settings}`)
    const started = await run(t, join(home, 'v/bin/gunicorn'), args, { port, env, cwd: place })
    await ready(port, started.output)
    return started
  }
  let server = await serve(settings)
  const command = (...args: readonly string[]): string => {
    const options = { encoding: 'utf8', env: { ...process.env, ...env }, cwd: place } as const
    const { status, stdout, stderr } = spawnSync(join(home, 'v/bin/netbox'), args, options)
    if (status !== 0) throw new Error(`netbox ${args.join(' ')}:\n${stdout}${stderr}`)
    return `${stdout}${stderr}`
  }
  return {
    port,
    command,
    staticFolder: join(home, 'static'),
    token: readFileSync(join(home, 'token'), 'utf8'),
    databaseUrl: postgres.url.replace('/gatehouse?', '/netbox?'),
    output: () => server.output(),
    restart: async (next) => {
      await server.stop()
      server = await serve(next)
    },
  }
}

/** As the guide's `pip install` does, beside the installation that is kept, and with nothing from elsewhere. */
function installPlugin(python: string, place: string): void {
  const source = join(place, 'integrations/netbox') // a build leaves files in its source
  cpSync('integrations/netbox', source, { recursive: true })
  const offline = ['--no-index', '--no-build-isolation', '--no-deps', '--disable-pip-version-check']
  const args = ['-m', 'pip', 'install', '--quiet', ...offline, '--target', join(place, 'plugins'), source]
  const { status, stderr } = spawnSync(python, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the plugin cannot be installed:\n${stderr}`)
}

/** gunicorn listens before NetBox is loaded. */
async function ready(port: number, output: () => string): Promise<void> {
  const until = Date.now() + READY_MS
  while (Date.now() < until) {
    const answer = await fetch(`http://127.0.0.1:${port}/login/`).catch(() => undefined)
    if (answer?.status === 200) return
    await sleep(500)
  }
  throw new Error(`NetBox did not come up:\n${output()}`)
}
