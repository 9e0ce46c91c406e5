// `gatehouse serve` with several workers, as processes: on a database of its own, with the simulated Entra ID beside
// it.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import { stringify } from 'yaml'
import { createDirectory } from '../../src/demo/directory.js'
import { startEntra } from '../../src/demo/entra/server.js'
import { signInAs } from '../../src/demo/entra/sign-in-as.js'
import { DEMO_TENANT_ID, seedDemoDirectory } from '../../src/demo/people.js'
import { createBrowser, type Browser } from './browser.js'
import { baseConfig, freePorts, merge, registration } from './gateway.js'
import { kill } from './leftovers.js'
import { freshDatabase } from './postgres.js'
import { until } from './until.js'

export type Line = Readonly<Record<string, unknown>>

export interface Health {
  readonly status: number
  readonly parts: Readonly<Record<string, unknown>> & {
    readonly workers: Readonly<Record<string, { readonly state: string, readonly pid?: number }>>
  }
}

export interface ServedWorkers {
  readonly url: string
  readonly management: string
  readonly databaseUrl: string
  readonly primary: ChildProcess
  /** Of the primary process. */
  readonly ended: Promise<number | null>
  /** Every log line. */
  lines(): readonly Line[]
  /** Whether such a line was logged, within two minutes. */
  logged(text: string, count?: number): Promise<boolean>
  health(): Promise<Health>
  /** Whether so many workers are ready, within two minutes. */
  ready(count?: number): Promise<boolean>
  pids(): Promise<number[]>
  metrics(): Promise<string>
  /** Replaces the configuration file, and reloads it. */
  reload(config: Record<string, unknown>): void
  write(name: string, text: string): void
  signIn(person: string): Promise<Browser>
  /** Forward-auth, on a connection of its own. @returns the status */
  ask(browser?: Browser, headers?: Record<string, string>): Promise<number>
  /** On a connection of its own. */
  get(path: string, headers?: Record<string, string>): Promise<number>
}

export interface ServeOptions {
  readonly config?: Record<string, unknown>
  /** Beside the configuration file. */
  readonly files?: Readonly<Record<string, string>>
  readonly databaseUrl?: string
  /** Of all processes, besides those of this one. */
  readonly environment?: Readonly<Record<string, string>>
  /** Does not wait until the workers are ready. */
  readonly unready?: boolean
}

export async function serveWorkers(t: Test, options: ServeOptions = {}): Promise<ServedWorkers> {
  const databaseUrl = options.databaseUrl ?? await freshDatabase(t)
  const [port, management] = await freePorts(2)
  const url = `http://127.0.0.1:${port}`
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({ directory, app: registration(url) })
  t.teardown(() => entra.close())
  const base = merge(baseConfig({ publicUrl: url, port, management, entra, databaseUrl }), {
    server: { workers: 2 },
    log: { level: 'info' },
    groupMapping: [],
  })
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-workers-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  for (const [name, text] of Object.entries(options.files ?? {})) write(name, text)
  const config = merge(base, options.config ?? {})
  write('gatehouse.yaml', stringify(config))
  const served = startProcess(t, join(folder, 'gatehouse.yaml'), options.environment)
  const workers = describe(served, { url, management: `http://127.0.0.1:${management}`, databaseUrl })
  const all: ServedWorkers = {
    ...workers,
    write,
    reload(next) {
      write('gatehouse.yaml', stringify(merge(config, next)))
      served.primary.kill('SIGHUP')
    },
  }
  if (options.unready !== true && !await all.ready()) throw new Error(`not ready:\n${served.output()}`)
  return all
}

interface Served {
  readonly primary: ChildProcess
  readonly ended: Promise<number | null>
  readonly output: () => string
}

function startProcess(t: Test, file: string, environment: ServeOptions['environment'] = {}): Served {
  const primary = spawn(process.execPath, ['dist/cli.js', 'serve', '--config', file], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // the leader of a process group, as under a terminal
  })
  let output = ''
  for (const stream of [primary.stdout, primary.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const ended = new Promise<number | null>((resolve) => primary.once('close', (code) => resolve(code)))
  t.teardown(async () => {
    if (primary.exitCode === null && primary.signalCode === null) primary.kill('SIGTERM')
    const timer = setTimeout(() => kill(-(primary.pid ?? NaN), 'SIGKILL'), 60_000)
    await ended
    clearTimeout(timer)
    kill(-(primary.pid ?? NaN), 'SIGKILL') // whoever is left in the group
  })
  return { primary, ended, output: () => output }
}

function describe(
  { primary, ended, output }: Served,
  { url, management, databaseUrl }: { url: string, management: string, databaseUrl: string },
): Omit<ServedWorkers, 'reload' | 'write'> {
  const lines = (): Line[] =>
    output().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Line)
  const over = { yes: false }
  void ended.then(() => {
    over.yes = true
  })
  const health = async (): Promise<Health> => {
    const answer = await fetch(`${management}/readyz`)
    return { status: answer.status, parts: (await answer.json() as Health).parts }
  }
  const ready = (count = 2): Promise<boolean> =>
    until(async () => {
      if (over.yes) throw new Error(`it has ended:\n${output()}`)
      const states = await health().then(({ parts }) => Object.values(parts.workers), () => [])
      return states.filter(({ state }) => state === 'ready').length === count
    })
  const get = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
    const dispatcher = new Agent({ pipelining: 0 })
    const { statusCode, body } = await request(`${url}${path}`, { dispatcher, headers })
    await body.dump()
    await dispatcher.close()
    return statusCode
  }
  return {
    url,
    management,
    databaseUrl,
    primary,
    ended,
    lines,
    health,
    ready,
    get,
    logged: (text, count = 1) => until(() => lines().filter(({ msg }) => String(msg).includes(text)).length >= count),
    pids: async () => Object.values((await health()).parts.workers).map(({ pid }) => pid ?? NaN),
    metrics: async () => await (await fetch(`${management}/metrics`)).text(),
    async signIn(person) {
      const browser = createBrowser()
      const { location: away = '' } = await browser.ask(`${url}/oauth2/start?rd=${encodeURIComponent(`${url}/`)}`)
      const { location: back = '' } = await signInAs(away, person)
      const { status, text } = await browser.ask(back)
      if (status !== 302) throw new Error(`not signed in: ${status} ${text}`)
      return browser
    },
    ask: (browser, headers = {}) =>
      get('/oauth2/auth', {
        'x-original-url': 'https://wiki.corp.test/page',
        'x-original-method': 'GET',
        ...(browser === undefined ? {} : { cookie: browser.cookieHeader(url) }),
        ...headers,
      }),
  }
}

/** The value of a series of /metrics. */
export function valueOf(metrics: string, series: string): number {
  return Number(metrics.split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1))
}

/** Whether a process runs, from /proc of Linux. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
