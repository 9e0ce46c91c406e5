// Runs one step of the operator's own in a process of its own: a module that loops for ever, exits or eats memory costs
// the logins that ask it and nothing else.
import { once } from 'node:events'
import { GatehouseError } from '../core/errors.js'
import type { Said, Told } from './worker-entry.js'
import { readLines } from './lines.js'
import { fence, startStepProcess, type StepProcess } from './worker-process.js'

const LOADING_MS = 30_000
const MAX_ANSWER = 64 * 1024
const MAX_PRINTED = 8_000

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

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: GatehouseError) => void
  readonly timer: NodeJS.Timeout
}

export function startRunner({ name, source, timeoutMs, printed }: RunnerOptions): Runner {
  const flags = fence(process.allowedNodeEnvironmentFlags)
  if (!flags) throw unusable(name, 'this Node has no permission model to fence a step in')
  const own = startStepProcess(flags) // guard: adv-step-programs
  for (const stream of own.printed) readLines(stream, MAX_PRINTED, printed)
  const waiting = new Map<number, Waiting>()
  let count = 0
  let retired = false
  let gone = false
  const failed = (what: string): GatehouseError =>
    new GatehouseError('step_failed', { detail: `${name} ${what}`, facts: { step: name } })
  const endWhenIdle = (): void => {
    if (retired && waiting.size === 0) own.kill()
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
    if (said.kind === 'threw') {
      settle(said.id, ({ reject }) => reject(failed(`threw ${String(said.why).slice(0, 300)}`)))
    }
  }
  const first = new Promise<Said>((resolve) => {
    const listen = (line: string): void => {
      const said = parse(line)
      if (!said) return own.kill() // the step wrote there itself
      resolve(said)
      hear(said)
    }
    readLines(own.output, MAX_ANSWER, listen, own.kill)
  })
  const ended = own.ended.then(() => {
    retired = true
    gone = true
    for (const id of [...waiting.keys()]) settle(id, ({ reject }) => reject(failed('ended its process')))
  })
  const tell = (told: Told): void => {
    own.input.write(`${JSON.stringify(told)}\n`)
  }
  tell({ source })
  return {
    ready: loaded({ own, name, first, ended }).finally(own.unref),
    retire,
    usable: () => !retired,
    async close() {
      own.ref()
      own.kill()
      await ended
    },
    ask(input) {
      const id = count++
      return new Promise((resolve, reject) => {
        if (gone) return reject(failed('ended its process'))
        // It may hang for ever: it is left to the logins already waiting for it, and the next login gets a new one.
        const timer = setTimeout(() => {
          retired = true
          settle(id, (waiter) => waiter.reject(failed(`took longer than ${timeoutMs} ms`)))
        }, timeoutMs)
        waiting.set(id, { resolve, reject, timer })
        tell({ id, input })
      })
    },
  }
}

interface Loading {
  readonly own: StepProcess
  readonly name: string
  readonly first: Promise<Said>
  readonly ended: Promise<void>
}

async function loaded({ own, name, first, ended }: Loading): Promise<void> {
  const timeout = AbortSignal.timeout(LOADING_MS)
  const said = await Promise.race([
    first,
    ended.then((): Said => ({ kind: 'unusable', why: 'it ended its process while it was loaded' })),
    once(timeout, 'abort').then((): Said => ({ kind: 'unusable', why: `loading took longer than ${LOADING_MS} ms` })),
  ])
  if (said.kind === 'ready') return
  own.kill()
  throw unusable(name, said.kind === 'unusable' ? String(said.why).slice(0, 300) : 'it answered before it was asked')
}

function unusable(name: string, why: string): GatehouseError {
  const remedy =
    "It must be one JavaScript module (import and export, Node's own modules alone) with a function as its " +
    'default export; it may read no file: docs/custom-steps.md.'
  return new GatehouseError('step_unusable', { detail: `${name}: ${why}`, remedy, facts: { step: name } })
}

/** A step could write to the descriptor itself: what is no object with a kind is nothing that we wrote. */
function parse(line: string): Said | undefined {
  try {
    const said: unknown = JSON.parse(line)
    return typeof said === 'object' && said !== null && 'kind' in said ? said as Said : undefined
  } catch {
    return undefined
  }
}
