// One worker process as the primary process sees it: its messages, its answers, and how it ends.
import cluster, { type Worker } from 'node:cluster'
import { coalesced } from '../core/coalesced.js'
import { readLines } from '../custom-steps/lines.js'
import type { Readiness } from '../http/health.js'
import type { MetricSnapshot } from '../telemetry/summed-metrics.js'
import type { ConfigInForce } from './config-in-force.js'
import type { ToPrimary, ToWorker } from './messages.js'
import { createLiveness, type Liveness } from './liveness.js'
import { createQuestions } from './questions.js'
import { received } from './sent-error.js'

/** A worker that is asked about itself asks its database, which may take five seconds. */
const ANSWER_MS = 6_000
/** A custom step may take half a minute to load. */
const PREPARE_MS = 60_000
const MAX_LINE_LENGTH = 1024 * 1024
/** That a worker has not yet read. Without them it writes a line that another one has written. */
const MAX_UNREAD_ANNOUNCEMENTS = 1_000

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
  /** From now on it has to answer: it is killed after half a minute without. */
  watch(): void
  /** It does not answer at the moment. */
  silent(): boolean
  kill(): void
}

export interface WorkerEvents {
  onNotice(notice: Notice): void
  /** It does not answer any more; it may again. */
  onSilent(): void
  /** It has not answered for half a minute. */
  onHung(): void
  /** After its last line. */
  onEnd(ending: Ending): void
  /** What the worker writes to its standard output; a line that is too long is cut. */
  onLine(line: string): void
}

export function forkWorker(number: number, events: WorkerEvents): WorkerHandle {
  const { onNotice, onEnd, onLine } = events
  const worker = cluster.fork()
  const closeConnections = followConnections(worker)
  const gone = (reason: string): Error => new Error(`worker ${number} ${reason}`)
  const health = createQuestions<Readiness>(gone, ANSWER_MS)
  const metrics = createQuestions<readonly MetricSnapshot[]>(gone, ANSWER_MS)
  const prepared = createQuestions<Extract<ToPrimary, { kind: 'prepared' }>>(gone, PREPARE_MS)
  const send = createSender((message, sent) => sendTo(worker, message, sent))
  let liveness: Liveness | undefined
  const onSilent = (): void => {
    for (const questions of [health, metrics]) questions.drop('does not answer')
    events.onSilent()
  }
  const { stdout } = worker.process
  if (stdout) readLines(stdout, MAX_LINE_LENGTH, onLine)
  worker.on('message', (message: ToPrimary) => {
    if (message.kind === 'alive') liveness?.answered()
    else if (message.kind === 'readiness') health.answer(message.id, message.readiness)
    else if (message.kind === 'metrics') metrics.answer(message.id, message.metrics)
    else if (message.kind === 'prepared') prepared.answer(message.id, message)
    else onNotice(message)
  })
  worker.on('error', () => {}) // the process has ended, or could not be started: `close` follows
  worker.process.once('close', (code, signal) => {
    closeConnections()
    liveness?.close()
    for (const questions of [health, metrics, prepared]) questions.close()
    onEnd({ code, signal })
  })
  return {
    pid: worker.process.pid,
    send,
    readiness: coalesced(() => health.ask((id) => send({ kind: 'readiness', id }))),
    metrics: coalesced(() => metrics.ask((id) => send({ kind: 'metrics', id }))),
    async prepare(config) {
      const { error } = await prepared.ask((id) => send({ kind: 'prepare', id, config }))
      if (error) throw received(error)
    },
    watch() {
      liveness = createLiveness({ ask: () => send({ kind: 'alive' }), onSilent, onHung: events.onHung })
    },
    silent: () => liveness?.silent() ?? false,
    kill: () => {
      worker.process.kill('SIGKILL')
    },
  }
}

/**
 * What is sent to a worker that reads nothing waits in the memory of this process. Announcements have no answer, so
 * that nothing else bounds them.
 * @param deliver calls back when the message has left this process
 */
export function createSender(
  deliver: (message: ToWorker, sent: () => void) => void,
): (message: ToWorker) => void {
  let unread = 0
  return (message) => {
    if (message.kind !== 'announced') return deliver(message, () => {})
    if (unread >= MAX_UNREAD_ANNOUNCEMENTS) return // guard: workers-announced-bounded
    unread++
    deliver(message, () => {
      unread--
    })
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
function sendTo(worker: Worker, message: ToWorker, sent: () => void): void {
  if (!worker.isConnected()) return sent()
  worker.process.send(message, undefined, undefined, () => sent())
}
