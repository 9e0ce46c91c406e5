// PostgreSQL and everything that the gateway keeps there, opened in the order in which one part needs another.
import { sql } from 'drizzle-orm'
import type { AuditRetention } from '../core/audit-export.js'
import { errorFacts } from '../core/errors.js'
import type { MappingRow } from '../core/mapping.js'
import type { Meter } from '../core/meter.js'
import type { UserRights } from '../core/rights.js'
import type { SessionTimeouts } from '../core/session.js'
import type { Tracer } from '../core/tracer.js'
import type { Own } from '../lifecycle.js'
import { startRecurring } from '../recurring.js'
import { openDatabase, type Database } from './database.js'
import { databaseUrl, type DatabaseChoice } from './database-url.js'
import { tryEngine } from './engine.js'
import { createHousekeeping } from './housekeeping.js'
import { createKeyRing, type RefreshableKeyRing } from './key-ring.js'
import { createSigningKeyStore } from './keys.js'
import { latestSnapshot } from './membership-snapshots.js'
import { migrate } from './migrate.js'
import { sealAuditRegularly } from './audit-sealing.js'
import { createPeopleStore } from './people.js'
import { createRecordCounter } from './record-counts.js'
import { rightsOf } from './rights.js'
import { openServerOfRecord, type ServerOfRecord } from './server-of-record/server-of-record.js'
import { tracedDatabase } from './traced-database.js'

const SWEEP_INTERVAL_MS = 10 * 60_000
const KEYS_INTERVAL_MS = 60_000
const RECORD_INTERVAL_MS = 15_000

export interface StorageConfig {
  readonly database: DatabaseChoice & { readonly poolSize: number }
  readonly session: SessionTimeouts
  readonly audit: AuditRetention
  readonly keys: { readonly encryptionSecrets: readonly string[], readonly rotateEveryMs: number }
}

type LogLine = (facts: object, text: string) => void

export interface StorageDeps {
  readonly migrate: boolean
  readonly own: Own
  /** Whether the shutdown has begun: lost connections are not reported then. */
  readonly draining: () => boolean
  readonly log: { fatal: LogLine, error: LogLine, warn: LogLine, info: LogLine, debug: LogLine }
  readonly tracer: Tracer
  readonly meter: Pick<Meter, 'gauge' | 'gauges' | 'counts'>
}

export interface Storage {
  /** Of the given database, or of the embedded PostgreSQL that was started. */
  readonly url: string
  readonly server: ServerOfRecord
  readonly database: Database
  readonly keys: RefreshableKeyRing
  /** @throws GatehouseError `database_unavailable` */
  ping(): Promise<void>
  /** A person's rights with their reasons, under this mapping. */
  rightsOf(userId: string, mapping: readonly MappingRow[]): Promise<UserRights>
}

/**
 * @throws GatehouseError `database_unavailable`, `database_engine_unsupported`, or what the embedded PostgreSQL or a
 * migration failed with
 */
export async function openStorage(config: StorageConfig, options: StorageDeps): Promise<Storage> {
  const { own, log, meter } = options
  const { url, directUrl, stop } = await databaseUrl(
    config.database,
    (failure) => log.fatal(errorFacts(failure), 'the embedded PostgreSQL ended'),
  )
  own('embedded PostgreSQL', stop)
  const server = await openServerOfRecord({ url: directUrl ?? url, poolUrl: directUrl && url, log })
  own('check of the database servers', async () => server.close())
  await tryEngine(server.current().url)
  if (options.migrate) await migrateDatabase(server, log)
  const database = openPool(server, config.database.poolSize, options)
  const ping = async (): Promise<void> => {
    await database.ask((db) => db.execute(sql`select 1`))
  }
  await ping()
  const keys = await openKeys(database, config.keys, options)
  const sweeping = startRecurring(
    createHousekeeping(database, config, { log }),
    SWEEP_INTERVAL_MS,
    (error) => log.warn({ err: error }, 'housekeeping failed; it will be tried again'),
  )
  own('housekeeping', sweeping.stop)
  const { keys: { encryptionSecrets: secrets }, audit: { retentionMs } } = config
  sealAuditRegularly(database, { secrets, retentionMs }, options)
  countRecord(database, options)
  meter.gauges('databaseConnections', () => {
    const { busy, idle } = database.pool()
    return { busy, idle }
  })
  meter.gauge('databaseWaiting', () => database.pool().waiting)
  const people = createPeopleStore(database, config.session)
  return {
    url,
    server,
    database,
    keys,
    ping,
    async rightsOf(userId, mapping) {
      const snapshot = await latestSnapshot(database, userId, mapping.flatMap(({ groups }) => groups))
      return rightsOf(await people.byId(userId), mapping, snapshot)
    },
  }
}

/**
 * For a process that leaves the database to its workers: no connection is open afterwards.
 * @throws GatehouseError `database_unavailable`, `database_engine_unsupported`
 */
export async function migrateForWorkers(
  { url, directUrl }: { readonly url: string, readonly directUrl?: string },
  log: StorageDeps['log'],
): Promise<void> {
  const server = await openServerOfRecord({ url: directUrl ?? url, poolUrl: directUrl && url, log })
  try {
    await tryEngine(server.current().url)
    await migrateDatabase(server, log)
  } finally {
    server.close()
  }
}

async function migrateDatabase(server: ServerOfRecord, log: StorageDeps['log']): Promise<void> {
  for (const name of await migrate(server.current().url)) log.info({ migration: name }, 'migration applied')
}

function openPool(server: ServerOfRecord, poolSize: number, { own, draining, log, tracer }: StorageDeps): Database {
  const pool = openDatabase({
    server,
    poolSize,
    onIdleError: (error) => {
      if (draining()) return
      log.warn({ detail: error.message }, 'a database connection broke; it is replaced when it is needed')
    },
  })
  const database = tracedDatabase(pool, tracer)
  own('database pool', () => database.close())
  return database
}

/** The signing keys: read, sealed with the newest secret, replaced by age, and read again every minute. */
async function openKeys(
  database: Database,
  { encryptionSecrets, rotateEveryMs }: StorageConfig['keys'],
  { own, log }: StorageDeps,
): Promise<RefreshableKeyRing> {
  const store = createSigningKeyStore(database, encryptionSecrets)
  const ring = createKeyRing(store)
  await store.ensure()
  const keepUp = async (): Promise<void> => {
    const kid = await store.keepUp(rotateEveryMs)
    if (kid !== undefined) log.info({ kid }, 'a new signing key is published; it signs in a quarter of an hour')
    await ring.refresh()
  }
  await keepUp()
  const keeping = startRecurring(keepUp, KEYS_INTERVAL_MS, (error) => keysUnreadable(log, error))
  own('signing keys', keeping.stop)
  return ring
}

export function keysUnreadable(log: Pick<StorageDeps['log'], 'warn'>, error: unknown): void {
  log.warn({ err: error }, 'the signing keys could not be read again; those in memory go on')
}

/** Superusers and revocations, for the metrics. */
function countRecord(database: Database, { own, log, meter }: StorageDeps): void {
  const record = createRecordCounter(database)
  const counting = startRecurring(record.refresh, RECORD_INTERVAL_MS, (error) => {
    log.debug({ err: error }, 'the counts of superusers and revocations could not be read; they stay as they were')
  })
  own('record counts', counting.stop)
  meter.gauge('superusers', () => record.counts()?.superusers)
  meter.gauge('oldestTransaction', () => record.counts()?.oldestTransactionSeconds)
  meter.counts('revocations', () => record.counts()?.revocations ?? {})
}
