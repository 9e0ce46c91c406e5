// The primary process of several workers. It reads the configuration, runs the embedded PostgreSQL where there is one,
// migrates, follows signals and files, and has the management port. It answers no requests and keeps no connection to
// the database.
import type { Logger } from 'pino'
import { neverReloaded, registerReloads, type ReloadState } from '../config/reload-state.js'
import type { Config } from '../config/config.js'
import { errorFacts } from '../core/errors.js'
import { stepSource } from '../custom-steps/registry.js'
import { createLifecycle, type Lifecycle } from '../lifecycle.js'
import { createManagementServer } from '../management-server.js'
import { listen } from '../net/listen.js'
import { configPart } from '../readiness.js'
import { LISTENING } from '../server.js'
import { databaseUrl } from '../store/database-url.js'
import { migrateForWorkers } from '../store/storage.js'
import { createPrimaryMetrics } from '../telemetry/metrics.js'
import { VERSION } from '../version.js'
import { handedOver } from './config-in-force.js'
import { createWorkersHealth } from './health.js'
import { configOfWorker } from './worker-count.js'
import { createWorkers, type Workers } from './workers.js'

export interface PrimaryOptions {
  readonly count: number
  readonly log: Logger
  /** Writes a line that a worker has logged. */
  readonly forward: (line: string, worker: number) => void
  /** Resolves when all are to stop, also before they have started. */
  readonly stopRequested: Promise<unknown>
  readonly migrate: boolean
  /** The configuration in force. */
  readonly current: () => Config
  /** The result of the last reload. */
  readonly reload?: () => ReloadState
}

export interface Primary {
  /** Rejects where a worker cannot run this configuration: all go on with the one before. */
  prepare(next: Config): Promise<void>
  /** What was prepared is in force. */
  commit(): void
  /** Resolves when too many workers have died within a minute. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

/** @throws GatehouseError as a single process does: what the first worker failed with */
export async function startPrimary(options: PrimaryOptions): Promise<Primary> {
  const lifecycle = createLifecycle(options.log)
  try {
    return await open(options, lifecycle)
  } catch (error) {
    await lifecycle.close()
    throw error
  }
}

async function open(options: PrimaryOptions, { own, draining, close }: Lifecycle): Promise<Primary> {
  const { count, log, forward, stopRequested, current, reload = neverReloaded() } = options
  const embeddedUrl = await openDatabase(options, own)
  const handed = (config: Config) => handedOver(configOfWorker(config, count, embeddedUrl), stepSource)
  const metrics = createPrimaryMetrics(VERSION)
  registerReloads(metrics, reload)
  const ownParts = () => ({ config: configPart(reload()) })
  const health = createWorkersHealth({ slots: () => workers.slots, draining, ownParts, metrics })
  const config = await handed(current())
  const workers: Workers = createWorkers({ count, config, log, forward, stopRequested, onDeath: health.died })
  const { server } = current()
  const management = await createManagementServer({ log, ...health })
  own('management listener', () => management.close())
  const managementPort = await listen(management, server.management, 'server.management.port')
  own('workers', () => workers.stop())
  const started = await workers.start()
  if (started) {
    log.info({ publicUrl: server.publicUrl, ...started, management: managementPort, workers: count }, LISTENING)
  }
  return {
    prepare: async (next) => await workers.prepare(await handed(next)),
    commit: workers.commit,
    failed: workers.failed,
    close,
  }
}

/** @returns the address of the embedded PostgreSQL; undefined where it is another one */
async function openDatabase({ current, log, migrate }: PrimaryOptions, own: Lifecycle['own']) {
  const { database } = current()
  const urls = await databaseUrl(
    database,
    (failure) => log.fatal(errorFacts(failure), 'the embedded PostgreSQL ended'),
  )
  own('embedded PostgreSQL', urls.stop)
  if (migrate) await migrateForWorkers(urls, log)
  return database.embedded ? urls.url : undefined
}
