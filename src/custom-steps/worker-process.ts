// The process of one custom step: an empty environment, no file, no other process, no thread, no native code. The
// network stays open. The permission model of Node.js is set on the command line and cannot be disabled from inside.
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { parse } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { serveStep } from './worker-entry.js'

const MEMORY_MB = 64
// Tracing and coverage agents add NODE_OPTIONS to the environment of every child process. The permission model keeps
// the process from reading their files, so that it would not start: `env -i` removes the variables.
const ENV = '/usr/bin/env'

export interface StepProcess {
  readonly input: Writable
  /** What the step prints. */
  readonly printed: readonly [Readable, Readable]
  readonly output: Readable
  /** Resolves when the process has ended and its output has been read, or when it could not be started. */
  readonly ended: Promise<void>
  /** Keeps the gateway running as long as this process does; that is how it starts. */
  ref(): void
  unref(): void
  kill(): void
}

/**
 * Flags of the permission model. Node.js 20 and early 22 have its experimental name. From 25 on it also restricts the
 * network, which is allowed here so that a step works the same on every version. `node:sqlite` opens files despite the
 * permission model (22.23 and 24.21) and is disabled.
 * @returns undefined if this Node.js has no permission model
 */
export function permissionFlags(known: { has(flag: string): boolean }): readonly string[] | undefined {
  const permission = ['--permission', '--experimental-permission'].find((flag) => known.has(flag))
  if (permission === undefined) return undefined
  const network = known.has('--allow-net') ? ['--allow-net'] : []
  // guard: adv-step-sqlite
  return [permission, ...network, ...(known.has('--experimental-sqlite') ? ['--no-experimental-sqlite'] : [])]
}

/** @param flags of the permission model */
export function startStepProcess(flags: readonly string[]): StepProcess {
  const limits = ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${MEMORY_MB}`]
  // guard: adv-step-files
  const node = [process.execPath, ...flags, ...limits, '--input-type=module', '--eval', `(${serveStep.toString()})()`]
  const { root } = parse(process.execPath)
  const [program = '', ...args] = existsSync(ENV) ? [ENV, '-i', ...node] : node // guard: adv-step-environment
  const child = spawn(program, args, {
    env: {},
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    windowsHide: true,
  }) as unknown as ChildProcessByStdio<Writable, Readable, Readable>
  const output = child.stdio[3] as unknown as Readable
  const stopWatching = killWhenGatewayEnds(child.pid) // guard: adv-step-ends
  child.once('exit', stopWatching)
  child.stdin.on('error', () => {}) // the process ended: `close` follows
  const streams = [child.stdin, child.stdout, child.stderr, output] as unknown as readonly Socket[]
  return {
    ended: new Promise((resolve) => child.once('close', () => resolve()).once('error', () => resolve())),
    input: child.stdin,
    printed: [child.stdout, child.stderr],
    output,
    ref() {
      child.ref()
      for (const stream of streams) stream.ref()
    },
    unref() {
      child.unref()
      for (const stream of streams) stream.unref()
    },
    kill: () => {
      child.kill('SIGKILL')
    },
  }
}

/**
 * A step that waits ends when its stdin is closed. One that loops does not notice, and would outlive a gateway that is
 * killed: a shell, whose stdin is closed at the same time, kills it. Without a shell there is no such watch.
 * @returns ends the watch
 */
function killWhenGatewayEnds(pid: number | undefined): () => void {
  if (pid === undefined || process.platform === 'win32') return () => {}
  const script = 'read -r _; kill -KILL "$0"'
  const watcher = spawn('/bin/sh', ['-c', script, String(pid)], { env: {}, stdio: ['pipe', 'ignore', 'ignore'] })
  watcher.on('error', () => {})
  watcher.stdin.on('error', () => {})
  watcher.unref()
  ;(watcher.stdin as unknown as Socket).unref()
  return () => {
    watcher.kill('SIGKILL')
  }
}
