// Applies the migrations; gateways that start at the same time wait for one another and migrate once.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator'
import pg from 'pg'
import { GatehouseError } from '../core/errors.js'

const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
const LOCK = 7_406_812_734 // any number, the same in every gateway

/**
 * @returns names of the migrations that were applied now, oldest first
 * @throws `database_unavailable`
 */
export async function migrate(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: 'gatehouse migrate' })
  client.on('error', () => {}) // a break shows as a failed statement
  try {
    await client.connect()
  } catch (error) {
    throw new GatehouseError('database_unavailable', { cause: error, detail: `PostgreSQL: ${error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error)}`, remedy: 'Check that PostgreSQL runs and that database.url is right.' })
  }
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK])
    const before = await appliedCount(client)
    await applyMigrations(drizzle(client), { migrationsFolder: FOLDER })
    return names().slice(before)
  } finally {
    await client.end()
  }
}

/** Names of the migrations this version knows that the database has not seen. */
export async function pendingMigrations(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    return names().slice(await appliedCount(client))
  } finally {
    await client.end()
  }
}

async function appliedCount(client: pg.Client): Promise<number> {
  const { rows: [known] } = await client.query<{ known: boolean }>("select to_regclass('drizzle.__drizzle_migrations') is not null as known")
  if (!known?.known) return 0
  const { rows: [count] } = await client.query<{ count: string }>('select count(*) from drizzle.__drizzle_migrations')
  return Number(count?.count ?? 0)
}

function names(): string[] {
  const journal = JSON.parse(readFileSync(`${FOLDER}/meta/_journal.json`, 'utf8')) as { entries: { tag: string }[] }
  return journal.entries.map((entry) => entry.tag)
}
