// The workers of this machine together: they start, reload and stop as one gateway. What they have in common is kept
// here: counts of requests, and which log lines were written.
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { GatehouseError, thrownFacts } from '../core/errors.js'
import { CUT_OFF_MS, LINGER_MS } from '../server.js'
import type { ConfigInForce } from './config-in-force.js'
import { createCounters } from './counters.js'
import { createDeaths } from './deaths.js'
import { createHandOver } from './hand-over.js'
import { createSlot, described, type Asked, type Death, type Slot } from './slot.js'

const PROGRAM = fileURLToPath(new URL('worker-main.js', import.meta.url))
/** After the time that requests have to be completed. */
const CLOSING_MS = 10_000

export interface Workers {
  readonly slots: readonly Slot[]
  /**
   * Resolves with the port when all are ready, and with undefined where a stop is requested before.
   * @throws what the first worker failed with; then all have ended
   */
  start(): Promise<{ readonly port: number | undefined } | undefined>
  /** Resolves when too many have died within a minute. */
  readonly failed: Promise<Error>
  /** Rejects where one worker cannot run this configuration: all go on with the one before. */
  prepare(next: ConfigInForce): Promise<void>
  /** What was prepared is in force. */
  commit(): void
  /** Resolves when all have ended. */
  stop(): Promise<void>
}

export interface WorkersOptions {
  readonly count: number
  readonly config: ConfigInForce
  readonly log: Logger
  /** Writes a line that a worker has logged. */
  readonly forward: (line: string, worker: number) => void
  /** Resolves when all are to stop, also before they have started. */
  readonly stopRequested: Promise<unknown>
  readonly onDeath: (number: number) => void
}

export function createWorkers(options: WorkersOptions): Workers {
  const { count, config } = options
  useProgram()
  const handOver = createHandOver(config)
  const first = createFirstStart(count)
  const failed = createPromise<Error>()
  const answer = createAnswers(() => slots)
  const judge = createJudge(options, failed.resolve)
  const slots: readonly Slot[] = Array.from(
    { length: count },
    (_, index) =>
      createSlot({ number: index + 1, count }, handOver, {
        onReady(slot, port) {
          options.log.info({ worker: slot.number, workerPid: slot.state().pid }, 'a worker is ready')
          first.ready(slot.number, port)
        },
        onAsked: answer,
        onLine: (line) => options.forward(line, index + 1),
        ...reports(options.log),
        onFirstFailure: (_slot, error) => first.failed(error),
        ...judge,
      }),
  )
  void options.stopRequested.then(() => {
    for (const slot of slots) slot.expectStop()
    first.stopped() // guard: workers-stop-during-start
  })
  const stop = async (): Promise<void> => {
    await Promise.all(slots.map((slot) => slot.stop(LINGER_MS + CUT_OFF_MS + CLOSING_MS)))
  }
  return {
    slots,
    failed: failed.promise,
    async start() {
      for (const slot of slots) slot.start()
      return await first.result.catch(async (error: unknown) => {
        await stop()
        throw error
      })
    },
    async prepare(next) {
      const participants = slots.filter((slot) => slot.configured()).flatMap((slot) => slot.handle() ?? [])
      await handOver.prepare(next, participants)
    },
    commit: handOver.commit,
    stop,
  }
}

function useProgram(): void {
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({
    exec: PROGRAM,
    args: [],
    serialization: 'advanced', // the configuration has maps, bytes and undefined
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'], // standard output is the log (telemetry/logger.ts)
  })
}

/** What is reported of a worker that does not end by itself. */
function reports(log: Logger) {
  const facts = (slot: Slot) => ({ worker: slot.number, workerPid: slot.state().pid })
  return {
    onSilent: (slot: Slot): void => log.warn(facts(slot), 'a worker does not answer'),
    onHung: (slot: Slot): void =>
      log.error(facts(slot), 'a worker has not answered for half a minute, and is ended by SIGKILL'),
  }
}

/** A promise that is settled from outside. */
function createPromise<T>() {
  let settle: { resolve(value: T): void, reject(error: Error): void } | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return {
    promise,
    resolve: (value: T): void => settle?.resolve(value),
    reject: (error: Error): void => settle?.reject(error),
  }
}

/** Whether all workers became ready once, or the first failure. */
function createFirstStart(count: number) {
  const ready = new Set<number>()
  const result = createPromise<{ readonly port: number | undefined } | undefined>()
  return {
    result: result.promise,
    ready(number: number, port: number | undefined): void {
      ready.add(number)
      if (ready.size === count) result.resolve({ port })
    },
    failed: (error: Error): void => result.reject(error),
    stopped: (): void => result.resolve(undefined),
  }
}

/** Decides what the end of a worker means. */
function createJudge({ log, onDeath }: WorkersOptions, giveUp: (error: Error) => void) {
  const deaths = createDeaths()
  const waiting = new Set<number>()
  return {
    onWaiting({ number }: Slot, error: Error): void {
      if (waiting.has(number)) return // once, until it has died again
      waiting.add(number)
      log.warn({ ...thrownFacts(error), worker: number }, 'a worker cannot start, and tries again every few seconds')
    },
    onDeath({ number }: Slot, { pid, code, signal, error }: Death): boolean {
      waiting.delete(number)
      onDeath(number)
      const facts = error === undefined ? {} : thrownFacts(error)
      log.error(
        { ...facts, worker: number, workerPid: pid, exitCode: code, signal },
        `a worker ${described({ code, signal })}`,
      )
      const tooMany = deaths.record()
      if (tooMany) giveUp(tooManyDeaths())
      return !tooMany
    },
  }
}

/** Counts requests, and passes on which log lines were written. */
function createAnswers(slots: () => readonly Slot[]): (slot: Slot, asked: Asked) => void {
  const counters = createCounters()
  return (slot, asked) => {
    if (asked.kind === 'count') {
      const count = counters.increment(asked.counter, asked.key, asked.windowMs)
      slot.handle()?.send({ kind: 'counted', id: asked.id, count })
      return
    }
    for (const other of slots()) {
      if (other !== slot) other.handle()?.send({ kind: 'announced', topic: asked.topic, key: asked.key })
    }
  }
}

function tooManyDeaths(): GatehouseError {
  return new GatehouseError('internal', {
    detail: 'three workers have ended within a minute',
    remedy: 'The log lines before this one say how. Report a defect with them.',
  })
}
