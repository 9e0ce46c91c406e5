// Applies the migrations; gateways that start at the same time wait for one another and migrate once.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readMigrationFiles, type MigrationMeta } from 'drizzle-orm/migrator'
import type pg from 'pg'
import { GatehouseError } from '../core/errors.js'
import { WITHOUT_TIME_LIMITS } from './own-connection.js'
import { createClient } from './scram-only.js'

const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
const LOCK = 7_406_812_734 // any number, the same in every gateway

interface Migration extends MigrationMeta { readonly name: string }

/**
 * @returns names of the migrations that were applied now, oldest first
 * @throws `database_unavailable`
 */
export async function migrate(url: string): Promise<string[]> {
  const client = createClient({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: 'gatehouse migrate' })
  client.on('error', () => {}) // a break shows as a failed statement
  try {
    await client.connect()
  } catch (error) {
    throw new GatehouseError('database_unavailable', { cause: error, detail: `PostgreSQL: ${error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error)}`, remedy: 'Check that PostgreSQL runs and that database.url is right.' })
  }
  try {
    // Drizzle's own runner opens a transaction itself, around which only a lock of the session would fit: behind a pool in transaction
    // mode that stays when the client has gone, and no start would ever get it again.
    await client.query(`begin isolation level read committed; ${WITHOUT_TIME_LIMITS}`)
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    const due = await pending(client)
    if (due.length > 0) await apply(client, due)
    await client.query('commit')
    return due.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

/** Names of the migrations this version knows that the database has not seen. */
export async function pendingMigrations(url: string): Promise<string[]> {
  const client = createClient({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    return (await pending(client)).map(({ name }) => name)
  } finally {
    await client.end()
  }
}

/** In Drizzle's table, as Drizzle does. */
async function apply(client: pg.Client, migrations: readonly Migration[]): Promise<void> {
  await client.query('create schema if not exists drizzle; create table if not exists drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)')
  for (const { sql, hash, folderMillis } of migrations) {
    for (const statement of sql) await client.query(statement)
    await client.query('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [hash, folderMillis])
  }
}

async function pending(client: pg.Client): Promise<Migration[]> {
  const { rows: [known] } = await client.query<{ known: boolean }>("select to_regclass('drizzle.__drizzle_migrations') is not null as known")
  const { rows: [last] } = known?.known ? await client.query<{ at: string | null }>('select max(created_at) as at from drizzle.__drizzle_migrations') : { rows: [] }
  return all().filter(({ folderMillis }) => folderMillis > Number(last?.at ?? 0))
}

function all(): Migration[] {
  const { entries } = JSON.parse(readFileSync(`${FOLDER}/meta/_journal.json`, 'utf8')) as { entries: { tag: string }[] }
  return readMigrationFiles({ migrationsFolder: FOLDER }).map((migration, index) => ({ ...migration, name: entries[index]?.tag ?? migration.hash }))
}
