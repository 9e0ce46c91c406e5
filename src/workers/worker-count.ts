// How many workers there are, and what each of them gets of the pool of database connections.
import { availableParallelism } from 'node:os'
import type { Config } from '../config/config.js'
import { MIN_POOL_OF_WORKER } from '../config/rules/storage.js'

export interface WorkerCount {
  readonly count: number
  /** `auto` would be more workers than the pool has connections for. */
  readonly limitedFrom: number | undefined
}

/** @param cpus on which this process may run */
export function workerCount(
  { server: { workers }, database: { poolSize } }: Pick<Config, 'server' | 'database'>,
  cpus: number = availableParallelism(),
): WorkerCount {
  if (workers !== 'auto') return { count: workers, limitedFrom: undefined }
  const most = Math.max(1, Math.floor(poolSize / MIN_POOL_OF_WORKER))
  return { count: Math.min(cpus, most), limitedFrom: cpus > most ? cpus : undefined }
}

/**
 * The configuration of a worker: its part of the pool, and the address of the embedded PostgreSQL, which the primary
 * process runs.
 */
export function configOfWorker(config: Config, count: number, embeddedUrl: string | undefined): Config {
  const { database } = config
  const poolSize = Math.floor(database.poolSize / count)
  const embedded = embeddedUrl === undefined ? {} : { embedded: false, url: embeddedUrl }
  return { ...config, database: { ...database, ...embedded, poolSize } }
}
