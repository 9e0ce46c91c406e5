// A worker: one replica of several on one port. It starts, reloads and stops as the primary process says, and ends by
// itself, as it would be stopped, where that process is gone.
import cluster from 'node:cluster'
import { runningConfig } from '../config/running-config.js'
import { GatehouseError } from '../core/errors.js'
import { createCustomSteps, type CustomSteps } from '../custom-steps/registry.js'
import type { Gateway } from '../gateway.js'
import { CUT_OFF_MS, LINGER_MS, startGateway } from '../server.js'
import { createLogger, workerOutput } from '../telemetry/logger.js'
import { startTracing } from '../telemetry/tracing/tracing.js'
import { VERSION } from '../version.js'
import { createHandedConfig, type HandedConfig } from './handed-config.js'
import { EXIT_TRY_AGAIN, type ToPrimary, type ToWorker } from './messages.js'
import { sendable } from './sent-error.js'
import { createWorkerSiblings, type WorkerSiblings } from './siblings.js'

/** After the requests in progress, for everything else that is closed. */
const CLOSING_MS = 5_000
const EXIT_FAILED = 1

/** What a worker has from its first message on. */
interface Started {
  readonly config: HandedConfig
  readonly steps: CustomSteps
  readonly siblings: WorkerSiblings
  /** Undefined where the start failed. */
  readonly gateway: Promise<Gateway | undefined>
}

export function runWorker(): void {
  let started: Promise<Started> | undefined
  let stopping = false
  const stop = async (): Promise<void> => {
    if (stopping) return
    stopping = true
    // whatever does not close must not keep the process, and with it the next start, waiting
    setTimeout(() => process.exit(EXIT_FAILED), LINGER_MS + CUT_OFF_MS + CLOSING_MS).unref()
    const begun = await started?.catch(() => undefined)
    await (await begun?.gateway)?.close()
    end()
  }
  const receive = async (message: ToWorker): Promise<void> => {
    if (message.kind === 'start') await (started ??= start(message))
    else if (message.kind === 'stop') await stop()
    else if (started) await answer(message, await started)
  }
  process.on('message', (message: ToWorker) => {
    receive(message).catch((error: unknown) => {
      if (message.kind === 'start') fail(error) // to another message there is no answer
    })
  })
  cluster.worker?.once('disconnect', () => {
    leave() // otherwise node:cluster ends the process at once
    started?.then(({ siblings }) => siblings.close(), () => {})
    void stop()
  })
  send({ kind: 'loaded', version: VERSION })
}

async function start({ place, config: first }: Extract<ToWorker, { kind: 'start' }>): Promise<Started> {
  const config = createHandedConfig(first)
  const tracing = await startTracing(process.env, VERSION)
  const fields = () => ({ worker: place.number, ...tracing.logFields?.() })
  const log = createLogger({ level: config.current().log.level, format: 'json' }, workerOutput(), fields)
  tracing.reportTo(log)
  // guard: workers-read-no-file
  const steps = createCustomSteps({ log, sourceOf: async (file) => config.sourceOf(file) })
  const siblings = createWorkerSiblings(place, send)
  const options = { log, tracing, customSteps: steps, migrate: false, siblings: siblings.siblings }
  const gateway = startGateway(runningConfig(config.current), options).then((running) => {
    send({ kind: 'ready', port: running.port })
    return running
  }, fail)
  return { config, steps, siblings, gateway }
}

function fail(error: unknown): undefined {
  const unreachable = error instanceof GatehouseError && error.code === 'database_unavailable'
  process.exitCode = unreachable ? EXIT_TRY_AGAIN : EXIT_FAILED
  setTimeout(() => process.exit(), CLOSING_MS).unref() // where something is left to do that does not end
  send({ kind: 'failed', error: sendable(error) }, end)
  return undefined
}

type Question = Exclude<ToWorker, { kind: 'start' | 'stop' }>

async function answer(message: Question, { config, steps, siblings, gateway }: Started): Promise<void> {
  switch (message.kind) {
    case 'prepare': {
      const { id } = message
      await config.prepare(message.config, steps).then(
        () => send({ kind: 'prepared', id }),
        (error: unknown) => send({ kind: 'prepared', id, error: sendable(error) }),
      )
      return
    }
    case 'commit':
      return config.commit(steps)
    case 'abort':
      return config.abort(steps)
    case 'alive':
      return send(message)
    case 'readiness': {
      const readiness = await (await gateway)?.readiness()
      if (readiness) send({ kind: 'readiness', id: message.id, readiness })
      return
    }
    case 'metrics': {
      const metrics = await (await gateway)?.metrics.snapshot()
      if (metrics) send({ kind: 'metrics', id: message.id, metrics })
      return
    }
    default:
      siblings.receive(message)
  }
}

/** Nothing can be sent where the primary process is gone. */
function send(message: ToPrimary, sent: () => void = () => {}): void {
  if (process.send === undefined || !process.connected) return sent()
  process.send(message, undefined, undefined, () => sent())
}

/** The process ends when nothing is left to do. */
function end(): void {
  leave()
  if (process.connected) process.disconnect()
}

/** The end of the channel is expected. */
function leave(): void {
  if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
}
