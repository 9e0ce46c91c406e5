// The process of one step: an empty environment, no file, no other process, no thread, no native code. The network
// stays open. What the permission model of Node enforces is said on the command line, and cannot be taken back from
// inside.
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { parse } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { serveStep } from './worker-entry.js'

const MEMORY_MB = 64
// Agents that watch programs (tracing, coverage) add NODE_OPTIONS to every process that is started, whatever
// environment it is given. In a fenced process their files cannot be read, so it would not start.
const CLEAR = '/usr/bin/env'

export interface StepProcess {
  readonly input: Writable
  /** What the step prints. */
  readonly printed: readonly [Readable, Readable]
  readonly output: Readable
  /** When it has ended and everything it wrote has been read, or when it could not be started. */
  readonly ended: Promise<void>
  /** The gateway does not end while the process runs: so it begins, and so it is closed. */
  ref(): void
  unref(): void
  kill(): void
}

/**
 * Flags of the permission model: 20 and early 22 know it under its experimental name. Where it fences the network too
 * (25 and later), the network is opened, so that steps mean the same on every version. `node:sqlite` opens files past
 * the permission model (seen in 22.23 and 24.21) and is turned off.
 * @returns undefined where this Node has none
 */
export function fence(known: { has(flag: string): boolean }): readonly string[] | undefined {
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
  const [program = '', ...args] = existsSync(CLEAR) ? [CLEAR, '-i', ...node] : node // guard: adv-step-environment
  const child = spawn(program, args, {
    env: {},
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    windowsHide: true,
  }) as unknown as ChildProcessByStdio<Writable, Readable, Readable>
  const output = child.stdio[3] as unknown as Readable
  const end = endWithUs(child.pid) // guard: adv-step-ends
  child.once('exit', end)
  child.stdin.on('error', () => {}) // it ended: `close` follows
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
 * A step that waits ends when its stdin does. One that loops never notices, and would run on after a gateway that was
 * killed: a shell waits for the end of the gateway in its place. Where there is no shell, it is not watched.
 * @returns ends the watch
 */
function endWithUs(pid: number | undefined): () => void {
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
