// Requirements on the PostgreSQL server, checked before anything is written: a supported version, write access, and the
// right to create tables. Each failure names the statement that fixes it.
import type pg from 'pg'
import type { GatehouseError } from '../core/errors.js'
import type { Link, PostgresConnection } from './connection.js'
import { translated } from './database.js'
import { connectFailure, failing, place, quoted, readOnlyFailure } from './database-failure.js'
import { PARTS_INDEXED } from './people-search.js'
import { addressOf, createClient } from './postgres-client.js'

/** The first version with a built-in gen_random_uuid(). */
const OLDEST = { number: 130_000, name: '13' }

export interface ServerState {
  readonly timeMs: number
  readonly versionNumber: number
  /** Like 18.1. */
  readonly version: string
  readonly readOnly: boolean
  /** Drizzle's table of migrations exists. */
  readonly migrated: boolean
  /** Another process than the one that was connected to answers: there is a pooler in between. */
  readonly pooled: boolean
  /** Standbys that are connected. */
  readonly standbys: number
  /** Which of them a commit waits for; empty: none. */
  readonly synchronousStandbyNames: string
  /** For how much a commit waits by default: `on`, or something weaker, such as `off`. */
  readonly synchronousCommit: string
  /** The oldest transaction above ten minutes that keeps dead rows, as far as the role sees. */
  readonly oldTransaction: OldTransaction | null
  /** Whether the role sees the transactions of other roles. */
  readonly seesTransactions: boolean
  /** The search for users finds parts of names, and not only their beginnings. */
  readonly searchesParts: boolean
  /** Statements that grant the rights that migrations need and the role lacks. */
  readonly grants: readonly string[]
}

export interface OldTransaction {
  readonly seconds: number
  /** Process and application, or the name of a prepared transaction, with the database. */
  readonly who: string
}

/** Transactions that keep PostgreSQL from removing dead rows: rows of `seconds` and `who`. */
export const OPEN_TRANSACTIONS = `
  select extract(epoch from clock_timestamp() - xact_start)::float8 as seconds,
    format('process %s (%s) in the database %s', pid, coalesce(nullif(application_name, ''), usename), datname) as who
  from pg_stat_activity
  where pid <> pg_backend_pid() and coalesce(backend_xid, backend_xmin) is not null and xact_start is not null
  union all
  select extract(epoch from clock_timestamp() - prepared)::float8,
    format('the prepared transaction %s in the database %s', regexp_replace(gid, '[^[:print:]]', '?', 'g'), database)
  from pg_prepared_xacts`

/** Ten minutes. */
const OLD_SECONDS = 600

/**
 * The oldest of them as JSON, where it is older than ten minutes.
 * @param transactions a query with `seconds` and `who`
 */
export function oldestAbove(transactions: string): string {
  return `select to_json(oldest) from (${transactions} order by seconds desc limit 1) oldest
    where seconds > ${OLD_SECONDS}` // guard: doctor-old-transaction
}

/**
 * Runs `work` on a connection outside the pool.
 * @param timeoutMs of one statement, in milliseconds; none otherwise
 * @throws `database_unavailable` with the remedy
 */
export async function withClient<T>(
  url: string,
  name: string,
  work: (client: pg.Client, link: Link) => Promise<T>,
  { timeoutMs }: { readonly timeoutMs?: number } = {},
): Promise<T> {
  const client = createClient({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: name,
    ...(timeoutMs === undefined ? {} : { query_timeout: timeoutMs }),
  })
  client.on('error', () => {}) // a lost connection shows as a failed statement
  const { connection } = client as unknown as { connection: PostgresConnection }
  try {
    await client.connect().catch((error: unknown) => {
      throw connectFailure(error, url, { encrypted: connection.link.encrypted })
    })
    return await work(client, connection.link).catch((error: unknown) => {
      throw translated(error, url)
    })
  } finally {
    await client.end().catch(() => {})
  }
}

// Looked up by name: to_regclass() fails where the role may not use the schema.
const STATE = `
  with here as (select coalesce(current_schema(), 'public') as schema)
  select (extract(epoch from clock_timestamp()) * 1000)::float8 as "timeMs",
    current_setting('server_version_num')::int as "versionNumber",
    current_setting('server_version') as version,
    pg_backend_pid() as backend,
    current_setting('transaction_read_only') = 'on' or pg_is_in_recovery() as "readOnly",
    exists (select from pg_class join pg_namespace n on n.oid = relnamespace
      where nspname = 'drizzle' and relname = '__drizzle_migrations') as migrated,
    (select count(*)::int from pg_stat_replication) as standbys,
    current_setting('synchronous_standby_names') as "synchronousStandbyNames",
    current_setting('synchronous_commit') as "synchronousCommit",
    (${oldestAbove(OPEN_TRANSACTIONS)}) as "oldTransaction",
    pg_has_role('pg_read_all_stats', 'usage') as "seesTransactions",
    (${PARTS_INDEXED}) as "searchesParts",
    has_database_privilege(current_database(), 'CREATE') as "mayCreateSchemas",
    schema,
    coalesce((select has_schema_privilege(oid, 'CREATE') and has_schema_privilege(oid, 'USAGE')
      from pg_namespace where nspname = schema), false) as "mayCreateTables"
  from here`

interface Row extends Omit<ServerState, 'grants' | 'pooled'> {
  readonly backend: number
  readonly mayCreateSchemas: boolean
  readonly schema: string
  readonly mayCreateTables: boolean
}

export async function serverState(client: pg.Client, url: string): Promise<ServerState> {
  const { rows: [row] } = await client.query<Row>(STATE)
  if (row === undefined) throw new Error('the query for the state of the server returned no row')
  const { database, user } = addressOf(url)
  const { mayCreateSchemas, mayCreateTables, schema, backend, ...state } = row
  const { processID } = client as unknown as { readonly processID: number | null }
  const grants = [
    ...(mayCreateSchemas || row.migrated ? [] : [`GRANT CREATE ON DATABASE ${quoted(database)} TO ${quoted(user)};`]),
    ...(mayCreateTables ? [] : [`GRANT USAGE, CREATE ON SCHEMA ${quoted(schema)} TO ${quoted(user)};`]),
  ]
  return { ...state, pooled: processID !== null && processID !== backend, grants }
}

/** The version is not supported. */
export function versionFailure({ versionNumber, version }: ServerState, url: string): GatehouseError | undefined {
  if (versionNumber >= OLDEST.number) return undefined
  return failing(
    'version',
    `PostgreSQL at ${place(addressOf(url))} is version ${version}, which Gatehouse does not support.`,
    `Upgrade it (pg_upgrade), or name a server of version ${OLDEST.name} or newer in database.url.`,
  )
}

/** Migrations cannot be applied. */
export function writeFailure(state: ServerState, url: string): GatehouseError | undefined {
  return state.readOnly ? readOnlyFailure(url) : rightsFailure(state, url)
}

export function rightsFailure({ grants }: ServerState, url: string): GatehouseError | undefined {
  if (grants.length === 0) return undefined
  const { user, database } = addressOf(url)
  return failing(
    'rights',
    `The role ${quoted(user)} may not create tables in the database ${quoted(database)}.`,
    `As a superuser or the database's owner, in that database: ${grants.join(' ')}`,
  )
}
