// Runs one step of the operator's own in a thread of its own: a module that loops for ever, exits or eats memory costs the
// logins that ask it and nothing else.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { GatehouseError } from '../core/errors.js'
import type { Asked, Said } from './thread.js'

const MEMORY_MB = 64
const LOADING_MS = 30_000

export interface RunnerOptions {
  readonly name: string
  readonly source: string
  /** How long an answer may take. */
  readonly timeoutMs: number
  /** A line that the module printed. */
  readonly printed: (line: string) => void
}

export interface Runner {
  /** @throws GatehouseError `step_unusable` */
  readonly ready: Promise<void>
  /** @throws GatehouseError `step_failed`: it threw, took too long or ended */
  ask(input: unknown): Promise<unknown>
  /** No more questions: ends when those under way are answered or have timed out. */
  retire(): void
  /** Whether it can still be asked. */
  usable(): boolean
  close(): Promise<void>
}

interface Waiting { readonly resolve: (answer: unknown) => void, readonly reject: (error: GatehouseError) => void, readonly timer: NodeJS.Timeout }

export function startRunner({ name, source, timeoutMs, printed }: RunnerOptions): Runner {
  const thread = new Worker(new URL('./thread.js', import.meta.url), { workerData: { source }, env: {}, stdout: true, stderr: true, resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB } })
  thread.unref()
  for (const stream of [thread.stdout, thread.stderr]) readLines(stream, printed)
  const waiting = new Map<number, Waiting>()
  let count = 0
  let retired = false
  const failed = (what: string): GatehouseError => new GatehouseError('step_failed', { detail: `${name} ${what}`, facts: { step: name } })
  const endWhenIdle = (): void => {
    if (retired && waiting.size === 0) thread.terminate().catch(() => {})
  }
  const settle = (id: number, how: (waiter: Waiting) => void): void => {
    const waiter = waiting.get(id)
    if (!waiter) return
    waiting.delete(id)
    clearTimeout(waiter.timer)
    how(waiter)
    endWhenIdle()
  }
  const retire = (): void => {
    retired = true
    endWhenIdle()
  }
  const hear = (said: Said): void => {
    if (said.kind === 'answer') settle(said.id, ({ resolve }) => resolve(said.answer))
    if (said.kind === 'threw') settle(said.id, ({ reject }) => reject(failed(`threw ${said.why}`)))
  }
  thread.on('message', hear)
  thread.on('error', () => {}) // `exit` follows
  thread.on('exit', () => {
    retired = true
    for (const id of [...waiting.keys()]) settle(id, ({ reject }) => reject(failed('ended its thread')))
  })
  return {
    ready: loaded(thread, name),
    retire,
    usable: () => !retired,
    async close() { await thread.terminate() },
    ask(input) {
      const id = count++
      return new Promise((resolve, reject) => {
        // The thread may hang for ever: it is left to those already waiting for it, and the next login gets a new one.
        const timer = setTimeout(() => { retired = true; settle(id, (waiter) => waiter.reject(failed(`took longer than ${timeoutMs} ms`))) }, timeoutMs)
        waiting.set(id, { resolve, reject, timer })
        thread.postMessage({ id, input } satisfies Asked)
      })
    },
  }
}

async function loaded(thread: Worker, name: string): Promise<void> {
  const unusable = (why: string): GatehouseError => new GatehouseError('step_unusable', { detail: `${name}: ${why}`, remedy: 'It must be one JavaScript module (import and export, Node\'s own modules alone) with a function as its default export: docs/custom-steps.md.', facts: { step: name } })
  const timeout = AbortSignal.timeout(LOADING_MS)
  const [said] = await Promise.race([
    once(thread, 'message', { signal: timeout }) as Promise<[Said]>,
    once(thread, 'exit', { signal: timeout }).then((): [Said] => [{ kind: 'unusable', why: 'it ended its thread while it was loaded' }]),
  ]).catch((): [Said] => [{ kind: 'unusable', why: timeout.aborted ? `loading took longer than ${LOADING_MS} ms` : 'it broke its thread while it was loaded' }])
  if (said.kind === 'ready') return
  await thread.terminate()
  throw unusable(said.kind === 'unusable' ? said.why : 'it spoke out of turn')
}

function readLines(stream: Readable, printed: (line: string) => void): void {
  createInterface({ input: stream }).on('line', (line) => printed(line.slice(0, 8_000)))
}
