// One worker process as the primary process sees it: its messages, its answers, and how it ends.
import cluster, { type Worker } from 'node:cluster'
import { readLines } from '../custom-steps/lines.js'
import type { Readiness } from '../http/health.js'
import type { MetricSnapshot } from '../telemetry/summed-metrics.js'
import type { ConfigInForce } from './config-in-force.js'
import type { ToPrimary, ToWorker } from './messages.js'
import { createQuestions } from './questions.js'
import { received } from './sent-error.js'

/** A worker that is asked about itself asks its database. */
const ANSWER_MS = 10_000
/** A custom step may take half a minute to load. */
const PREPARE_MS = 60_000
const MAX_LINE_LENGTH = 1024 * 1024

export interface Ending {
  readonly code: number | null
  readonly signal: string | null
}

/** What a worker sends unasked. */
export type Notice = Extract<ToPrimary, { kind: 'loaded' | 'ready' | 'failed' | 'count' | 'announce' }>

export interface WorkerHandle {
  readonly pid: number | undefined
  send(message: ToWorker): void
  readiness(): Promise<Readiness>
  metrics(): Promise<readonly MetricSnapshot[]>
  /** Rejects where the worker cannot run this configuration, ends, or does not answer in time. */
  prepare(config: ConfigInForce): Promise<void>
  kill(): void
}

export interface WorkerEvents {
  onNotice(notice: Notice): void
  /** After its last line. */
  onEnd(ending: Ending): void
  /** What the worker writes to its standard output; a line that is too long is cut. */
  onLine(line: string): void
}

export function forkWorker(number: number, { onNotice, onEnd, onLine }: WorkerEvents): WorkerHandle {
  const worker = cluster.fork()
  const closeConnections = followConnections(worker)
  const gone = (reason: string): Error => new Error(`worker ${number} ${reason}`)
  const health = createQuestions<Readiness>(gone, ANSWER_MS)
  const metrics = createQuestions<readonly MetricSnapshot[]>(gone, ANSWER_MS)
  const prepared = createQuestions<Extract<ToPrimary, { kind: 'prepared' }>>(gone, PREPARE_MS)
  const { stdout } = worker.process
  if (stdout) readLines(stdout, MAX_LINE_LENGTH, onLine)
  worker.on('message', (message: ToPrimary) => {
    if (message.kind === 'readiness') health.answer(message.id, message.readiness)
    else if (message.kind === 'metrics') metrics.answer(message.id, message.metrics)
    else if (message.kind === 'prepared') prepared.answer(message.id, message)
    else onNotice(message)
  })
  worker.on('error', () => {}) // the process has ended, or could not be started: `close` follows
  worker.process.once('close', (code, signal) => {
    closeConnections()
    for (const questions of [health, metrics, prepared]) questions.close()
    onEnd({ code, signal })
  })
  const send = (message: ToWorker): void => sendTo(worker, message)
  return {
    pid: worker.process.pid,
    send,
    readiness: () => health.ask((id) => send({ kind: 'readiness', id })),
    metrics: () => metrics.ask((id) => send({ kind: 'metrics', id })),
    async prepare(config) {
      const { error } = await prepared.ask((id) => send({ kind: 'prepare', id, config }))
      if (error) throw received(error)
    },
    kill: () => {
      worker.process.kill('SIGKILL')
    },
  }
}

interface Connection {
  close(): void
}

/**
 * node:cluster has a copy of a connection until the worker has accepted it, one at a time for each listener. Where the
 * worker dies before, that copy would stay open: its client would get no answer until its own time limit.
 * @returns closes what the worker had not accepted; to close one again has no effect
 */
function followConnections({ process: child }: Worker): () => void {
  const given = new Map<unknown, Connection>() // by listener
  const send = child.send.bind(child) as (message: object, ...rest: unknown[]) => boolean
  child.send = ((message: object, ...rest: unknown[]): boolean => {
    const [handle] = rest
    if (isConnection(handle) && 'key' in message) given.set(message.key, handle)
    return send(message, ...rest)
  }) as typeof child.send
  return () => {
    for (const handle of given.values()) handle.close() // guard: workers-connections-closed
  }
}

function isConnection(handle: unknown): handle is Connection {
  return typeof handle === 'object' && handle !== null && 'close' in handle && typeof handle.close === 'function'
}

/** A worker that has ended meanwhile gets nothing: its end is reported. */
function sendTo(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.process.send(message, undefined, undefined, () => {})
}
