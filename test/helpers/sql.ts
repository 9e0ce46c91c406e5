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
]

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
