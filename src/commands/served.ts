// What `gatehouse serve` runs: one process that answers requests, or a primary process with workers that do.
import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import type { ReloadState } from '../config/reload-state.js'
import type { PreparedChange } from '../config/reloader.js'
import { runningConfig } from '../config/running-config.js'
import { createCustomSteps } from '../custom-steps/registry.js'
import { startGateway } from '../server.js'
import type { Tracing } from '../telemetry/tracing/tracing.js'
import type { Primary } from '../workers/primary.js'

export interface Running {
  /** Resolves where it cannot go on. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

export interface Served {
  start(): Promise<Running>
  /** Rejects where the next configuration cannot be in force. */
  prepare(next: Config, change: PreparedChange): Promise<void>
  commit(next: Config): void
  /** After `close` of what is running, or after a start that failed. */
  close(): Promise<void>
}

export interface ServedOptions {
  readonly log: Logger
  readonly migrate: boolean
  /** The configuration in force. */
  readonly current: () => Config
  /** The result of the last reload. */
  readonly reload: () => ReloadState
}

export function serveAlone({ current, ...options }: ServedOptions & { readonly tracing: Tracing }): Served {
  const steps = createCustomSteps(options)
  return {
    async start() {
      const gateway = await startGateway(runningConfig(current), { ...options, customSteps: steps })
      return { failed: new Promise(() => {}), close: gateway.close }
    },
    async prepare({ customSteps }, { secretOnly }) {
      if (!secretOnly) await steps.prepare(customSteps)
    },
    commit: ({ customSteps }) => steps.keep(customSteps),
    close: steps.close,
  }
}

export interface WorkersServedOptions extends ServedOptions {
  readonly count: number
  /** Writes a line that a worker has logged. */
  readonly forward: (line: string, worker: number) => void
  /** Resolves when all are to stop, also before they have started. */
  readonly stopRequested: Promise<unknown>
}

export function serveWithWorkers(options: WorkersServedOptions): Served {
  let primary: Primary | undefined
  let started: Promise<Primary> | undefined
  return {
    async start() {
      started = import('../workers/primary.js').then(({ startPrimary }) => startPrimary(options))
      primary = await started
      return primary
    },
    prepare: async (next) => await (await started)?.prepare(next), // not before all have started
    commit: () => primary?.commit(),
    close: async () => {},
  }
}
