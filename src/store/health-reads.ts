// What the console shows of the database: its replicas of Gatehouse, its standbys, and the version of the tables.
import { sql } from 'drizzle-orm'
import type { AuditRetention } from '../core/audit-export.js'
import type { DatabaseState, HealthReader, ReplicaHealth, Standby } from '../core/health.js'
import type { Database } from './database.js'
import type { SigningKeyStore } from './keys.js'
import { readExportHealth } from './audit-export-queue.js'
import { knownMigrations } from './migrate.js'
import { readSealState } from './seal-state.js'

export interface HealthReads {
  readonly database: Database
  readonly keys: Pick<SigningKeyStore, 'list'>
  /** The hash of the configuration of this replica. */
  readonly config: () => string
  /** Whether the audit is exported, and how long its rows are kept. */
  readonly audit: AuditRetention
}

const MAX_REPLICAS = 200
const MAX_STANDBYS = 20
const SHORT_HASH = 12

export function createHealthReader({ database, keys, config, audit }: HealthReads): HealthReader {
  const known = knownMigrations()
  return {
    async ready() {
      await database.ask((db) => db.execute(sql`select 1`))
      return true
    },
    replicas: () => readReplicas(database, config()),
    database: () => readDatabase(database, known),
    keys: () => keys.list(),
    seals: () => readSealState(database),
    auditExport: () => readExportHealth(database, audit),
  }
}

type ReplicaRow = Omit<ReplicaHealth, 'isSameConfig'> & Record<string, unknown>

async function readReplicas(database: Database, own: string): Promise<readonly ReplicaHealth[]> {
  const { rows } = await database.ask((db) =>
    db.execute<ReplicaRow>(sql`
      select name, to_json(heartbeat_at) #>> '{}' as "heartbeatAt", config, listens,
        greatest(0, extract(epoch from clock_timestamp() - heartbeat_at))::float8 as "silentSeconds"
      from replicas order by name, replica limit ${MAX_REPLICAS}`)
  )
  return rows.map((row) => ({ ...row, config: row.config.slice(0, SHORT_HASH), isSameConfig: row.config === own }))
}

interface DatabaseRow extends Record<string, unknown> {
  readonly version: string
  readonly bytes: number
  readonly names: string
  readonly standbys: readonly Standby[] | null
  readonly migratedAt: string | null
}

async function readDatabase(
  database: Database,
  known: ReturnType<typeof knownMigrations>,
): Promise<DatabaseState> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<DatabaseRow>(sql`
      select current_setting('server_version') as version, pg_database_size(current_database())::float8 as bytes,
        current_setting('synchronous_standby_names') as names,
        (select max(created_at)::text from drizzle.__drizzle_migrations) as "migratedAt",
        (select json_agg(s) from (
          select application_name as name, state, sync_state as "syncState",
            extract(epoch from replay_lag)::float8 as "lagSeconds"
          from pg_stat_replication order by application_name limit ${MAX_STANDBYS}) s) as standbys`)
  )
  const migratedAt = Number(row?.migratedAt ?? 0)
  return {
    version: row?.version ?? '',
    bytes: row?.bytes ?? 0,
    standbys: row?.standbys ?? [],
    synchronousStandbyNames: row?.names ?? '',
    schema: known.find(({ at }) => at === migratedAt)?.name ?? null,
    pending: known.filter(({ at }) => at > migratedAt).map(({ name }) => name),
  }
}
