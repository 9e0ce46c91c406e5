// Runs one custom step in a process of its own: a module that loops forever, exits or exhausts its memory fails the
// logins that call it and nothing else.
import { once } from 'node:events'
import { GatehouseError } from '../core/errors.js'
import { readLines } from './lines.js'
import { createPendingCalls } from './pending-calls.js'
import type { WorkerMessage, WorkerRequest } from './worker-entry.js'
import { permissionFlags, startStepProcess, type StepProcess } from './worker-process.js'

const LOADING_MS = 30_000
const MAX_MESSAGE_LENGTH = 64 * 1024
const MAX_PRINTED_LENGTH = 8_000
const MAX_REASON_LENGTH = 300

export interface StepWorkerOptions {
  readonly name: string
  readonly source: string
  /** Time limit of one call. */
  readonly timeoutMs: number
  /** Receives each line that the module prints. */
  readonly printed: (line: string) => void
}

export interface StepWorker {
  /** @throws GatehouseError `step_unusable` */
  readonly ready: Promise<void>
  /** @throws GatehouseError `step_failed`: the module threw, exceeded the time limit or ended its process */
  call(input: unknown): Promise<unknown>
  /** Accepts no further calls; the process ends when the pending ones have ended. */
  retire(): void
  usable(): boolean
  close(): Promise<void>
}

export function startStepWorker({ name, source, timeoutMs, printed }: StepWorkerOptions): StepWorker {
  const flags = permissionFlags(process.allowedNodeEnvironmentFlags)
  if (!flags) throw unusable(name, 'this version of Node.js has no permission model that could restrict a step')
  const child = startStepProcess(flags) // guard: adv-step-programs
  for (const stream of child.printed) readLines(stream, MAX_PRINTED_LENGTH, printed)
  let retired = false
  let processEnded = false
  const endedItsProcess = () => failed(name, 'ended its process')
  const endWhenIdle = (): void => {
    if (retired && calls.isEmpty()) child.kill()
  }
  const calls = createPendingCalls({
    timeoutMs,
    timedOut() {
      retired = true // it may be stuck: pending calls keep their time limit, the next login starts another process
      return failed(name, `took longer than ${timeoutMs} ms`)
    },
    ended: endWhenIdle,
  })
  const first = firstMessage(child, (message) => {
    if (message.kind === 'result') calls.resolve(message.id, message.result)
    if (message.kind === 'threw') calls.reject(message.id, failed(name, `threw ${shortened(message.reason)}`))
  })
  const ended = child.ended.then(() => {
    retired = true
    processEnded = true
    calls.rejectAll(endedItsProcess)
  })
  send(child, { source })
  return {
    ready: loaded({ child, name, first, ended }).finally(child.unref),
    retire() {
      retired = true
      endWhenIdle()
    },
    usable: () => !retired,
    async close() {
      child.ref()
      child.kill()
      await ended
    },
    async call(input) {
      if (processEnded) throw endedItsProcess()
      return await calls.start((id) => send(child, { id, input }))
    },
  }
}

function send(child: StepProcess, request: WorkerRequest): void {
  child.input.write(`${JSON.stringify(request)}\n`)
}

/** The first message of the process; `received` gets all of them. A line that is not a message ends the process. */
function firstMessage(child: StepProcess, received: (message: WorkerMessage) => void): Promise<WorkerMessage> {
  return new Promise((resolve) => {
    readLines(child.output, MAX_MESSAGE_LENGTH, (line) => {
      const message = parseMessage(line)
      if (!message) return child.kill()
      resolve(message)
      received(message)
    }, child.kill)
  })
}

/** The step can write to the file descriptor itself, so that any text may arrive. */
function parseMessage(line: string): WorkerMessage | undefined {
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null && 'kind' in message ? message as WorkerMessage : undefined
  } catch {
    return undefined
  }
}

interface Loading {
  readonly child: StepProcess
  readonly name: string
  readonly first: Promise<WorkerMessage>
  readonly ended: Promise<void>
}

async function loaded({ child, name, first, ended }: Loading): Promise<void> {
  const timeout = AbortSignal.timeout(LOADING_MS)
  const unloaded = (reason: string): WorkerMessage => ({ kind: 'unusable', reason })
  const message = await Promise.race([
    first,
    ended.then(() => unloaded('it ended its process while it was loaded')),
    once(timeout, 'abort').then(() => unloaded(`loading took longer than ${LOADING_MS} ms`)),
  ])
  if (message.kind === 'ready') return
  child.kill()
  throw unusable(
    name,
    message.kind === 'unusable' ? shortened(message.reason) : 'it sent a result before the first call',
  )
}

/** The step may have written the message itself: its fields can have any type. */
function shortened(reason: unknown): string {
  return String(reason).slice(0, MAX_REASON_LENGTH)
}

function failed(name: string, what: string): GatehouseError {
  return new GatehouseError('step_failed', { detail: `${name} ${what}`, facts: { step: name } })
}

function unusable(name: string, reason: string): GatehouseError {
  const remedy =
    "It must be one JavaScript module (import and export, Node's own modules alone) with a function as its " +
    'default export; it may read no file: docs/custom-steps.md.'
  return new GatehouseError('step_unusable', { detail: `${name}: ${reason}`, remedy, facts: { step: name } })
}
