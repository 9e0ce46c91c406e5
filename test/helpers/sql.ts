// Straight to the tables, past the code that is tested.
import pg from 'pg'
import type { Test } from 'tap'

export type Query = <Row extends pg.QueryResultRow = Record<string, unknown>>(
  text: string,
  values?: unknown[],
) => Promise<Row[]>

export async function connect(t: Test, url: string): Promise<Query> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return async (text, values) => (await client.query(text, values)).rows as never
}

/**
 * Ends connections to the database of `query` and to no other: tests that run beside share the server.
 * @param where of pg_stat_activity
 */
export async function endConnections(query: Query, where: string): Promise<void> {
  await query(
    `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and ${where}`,
  )
}

/** Statements that no request causes: reads of the outbox, heartbeats, and the checks which server answers. */
export const IN_THE_BACKGROUND =
  /pg_current_snapshot\(\)::text|pg_notify|\breplicas\b| as (value|writable)$|^begin isolation level read committed$/

/** Without `replicas`, which changes every second. */
const TABLES = [
  'users',
  'identities',
  'groups',
  'user_groups',
  'group_permissions',
  'entra_readings',
  'sessions',
  'spent_flows',
  'audit_events',
  'signing_keys',
  'long_returns',
  'admin_forms',
]

/** What no role may do, for tests that move rows of the audit into the past. */
export function withoutTriggers(statement: string): string {
  return `set session_replication_role = replica; ${statement}; reset session_replication_role`
}

/** Everything that is stored, as text. */
export async function dump(query: Query): Promise<string> {
  const parts: string[] = []
  for (const table of TABLES) {
    parts.push(
      table,
      ...(await query(`select t::text as row from ${table} t order by 1`)).map((row) => String(row.row)),
    )
  }
  return parts.join('\n')
}

/** Rows of these change without any request, or are the record itself. */
const CHANGING = /^(?:audit_events|activity_counts|replicas|changes|outbox|__drizzle)/

/** Everything in every table but the audit record, as text: what an act may have changed. */
export async function dumpEverything(query: Query): Promise<string> {
  const tables = await query<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public'
    order by 1`)
  const parts: string[] = []
  for (const { name } of tables.filter((table) => !CHANGING.test(table.name))) {
    const rows = await query<{ row: string }>(`select (to_jsonb(t) - 'last_seen_at')::text as row from "${name}" t
      order by 1`)
    parts.push(name, ...rows.map(({ row }) => row))
  }
  return parts.join('\n')
}
