// Applies the migrations; gateways that start at the same time wait for one another and migrate once.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readMigrationFiles, type MigrationMeta } from 'drizzle-orm/migrator'
import type pg from 'pg'
import type { Link } from './connection.js'
import { sqlState } from './database-errors.js'
import { WITHOUT_TIME_LIMITS } from './dedicated-connection.js'
import { serverState, versionFailure, withClient, writeFailure, type ServerState } from './postgres-server-state.js'

const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
const ATTEMPTS = 5
const DEADLOCK_DETECTED = '40P01'
const LOCK = 7_406_812_734 // any number, the same in every gateway

interface Migration extends MigrationMeta {
  readonly name: string
}

/**
 * @returns names of the migrations that were applied now, oldest first
 * @throws `database_unavailable`
 */
export async function migrate(url: string): Promise<string[]> {
  for (let attempt = 1;; attempt++) {
    try {
      return await migrateOnce(url)
    } catch (error) {
      // Replicas of the previous release sign people in meanwhile, and lock the same tables.
      if (attempt === ATTEMPTS || sqlState(error) !== DEADLOCK_DETECTED) throw error // guard: migrate-deadlock
    }
  }
}

async function migrateOnce(url: string): Promise<string[]> {
  return await withClient(url, 'gatehouse migrate', async (client) => {
    // Drizzle's own runner opens a transaction itself, around which only a lock of the session would fit: behind a pool
    // in transaction mode that stays when the client has gone, and no start would ever get it again.
    // guard: migrate-waits, migrate-sees-what-was-done
    await client.query(`begin isolation level read committed; ${WITHOUT_TIME_LIMITS}`)
    await client.query('select pg_advisory_xact_lock($1)', [LOCK]) // guard: migrate-once, migrate-leaves-no-lock
    const state = await serverState(client, url)
    const tooOld = versionFailure(state, url)
    if (tooOld) throw tooOld
    const due = await pending(client, state)
    if (due.length > 0) {
      const refused = writeFailure(state, url)
      if (refused) throw refused // guard: adv-database-grant
      await apply(client, due, state)
    }
    await client.query('commit')
    return due.map(({ name }) => name)
  })
}

export interface MigrationState extends ServerState {
  /** Names of the migrations of this version that are not applied. */
  readonly pending: readonly string[]
  readonly link: Link
}

/** Reads the state of the database without changing it. @throws `database_unavailable` */
export async function readMigrationState(url: string): Promise<MigrationState> {
  return await withClient(url, 'gatehouse', async (client, link) => {
    const state = await serverState(client, url)
    const tooOld = versionFailure(state, url)
    if (tooOld) throw tooOld
    return { ...state, pending: (await pending(client, state)).map(({ name }) => name), link }
  })
}

/** In Drizzle's table, as Drizzle does. PostgreSQL asks for the right to make a schema even where it is there. */
async function apply(client: pg.Client, migrations: readonly Migration[], { migrated }: ServerState): Promise<void> {
  if (!migrated) {
    await client.query(
      'create schema if not exists drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash ' +
        'text not null, created_at bigint)',
    )
  }
  for (const { sql, hash, folderMillis } of migrations) {
    for (const statement of sql) await client.query(statement)
    await client.query('insert into drizzle.__drizzle_migrations (hash, created_at) values ($1, $2)', [
      hash,
      folderMillis,
    ])
  }
}

async function pending(client: pg.Client, { migrated }: ServerState): Promise<Migration[]> {
  const { rows: [last] } = migrated
    ? await client.query<{ at: string | null }>('select max(created_at) as at from drizzle.__drizzle_migrations')
    : { rows: [] }
  return all().filter(({ folderMillis }) => folderMillis > Number(last?.at ?? 0))
}

/** Those of this version, the oldest first, with the number by which the database knows each. */
export function knownMigrations(): readonly { readonly name: string, readonly at: number }[] {
  return all().map(({ name, folderMillis }) => ({ name, at: folderMillis }))
}

function all(): Migration[] {
  const { entries } = JSON.parse(readFileSync(`${FOLDER}/meta/_journal.json`, 'utf8')) as { entries: { tag: string }[] }
  return readMigrationFiles({ migrationsFolder: FOLDER }).map((migration, index) => ({
    ...migration,
    name: entries[index]?.tag ?? migration.hash,
  }))
}
