// The connection pool, and the one place that converts errors of the database into a GatehouseError. Timeouts apply on
// both sides: the server cancels a statement before the client stops waiting, so that no transaction is left open.
// Deadlocks and serialization failures are retried.
import { setTimeout as sleep } from 'node:timers/promises'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { GatehouseError } from '../core/errors.js'
import { connectFailure, databaseFailure } from './database-failure.js'
import { PooledClient } from './postgres-client.js'
import * as schema from './schema.js'

export type Drizzle = NodePgDatabase<typeof schema>
export type Transaction = Drizzle

export interface Database {
  /** Runs a query. @throws `database_unavailable` where the database does not answer */
  ask<T>(work: (db: Drizzle) => Promise<T>): Promise<T>
  /** One transaction, run again (at most five times in all) after a deadlock or a serialization failure. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  pool(): PoolState
  close(): Promise<void>
}

export interface PoolState {
  /** Connections with work. */
  readonly busy: number
  readonly idle: number
  /** Work that waits for a connection. */
  readonly waiting: number
}

export interface DatabaseOptions {
  readonly url: string
  readonly poolSize: number
  /** Called when an idle connection is lost; the pool replaces it. */
  readonly onIdleError?: (error: Error) => void
  /** Of one statement (milliseconds). */
  readonly timeoutMs?: number
}

export const FOREIGN_KEY_VIOLATION = '23503'
const RETRIED = new Set(['40001', '40P01']) // serialization_failure, deadlock_detected
const ATTEMPTS = 5
const DEFAULT_TIMEOUT_MS = 5_000

export function openDatabase(
  { url, poolSize, onIdleError, timeoutMs = DEFAULT_TIMEOUT_MS }: DatabaseOptions,
): Database {
  const pool = new pg.Pool({
    connectionString: url,
    Client: PooledClient as unknown as typeof pg.Client,
    max: poolSize,
    connectionTimeoutMillis: Math.min(timeoutMs, DEFAULT_TIMEOUT_MS),
    query_timeout: timeoutMs,
    idleTimeoutMillis: 60_000,
    maxLifetimeSeconds: 600, // after a switchover none stays with the old server for long
    statement_timeout: Math.ceil(timeoutMs * 0.8),
    lock_timeout: Math.ceil(timeoutMs * 0.8),
    idle_in_transaction_session_timeout: timeoutMs * 2,
    keepAlive: true,
    application_name: 'gatehouse',
  })
  pool.on('error', (error) => onIdleError?.(error))
  const db = drizzle(pool, { schema })

  const ask = async <T>(work: (db: Drizzle) => Promise<T>): Promise<T> => {
    try {
      return await work(db)
    } catch (error) {
      throw translated(error, url)
    }
  }
  return {
    ask,
    async transaction(work) {
      for (let attempt = 1;; attempt++) {
        try {
          return await ask(() => inTransaction(pool, work))
        } catch (error) {
          if (attempt === ATTEMPTS || !RETRIED.has(sqlState(error) ?? '')) throw error
          await sleep(10 * 2 ** attempt * Math.random())
        }
      }
    },
    pool: () => ({ busy: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  }
}

/** The five-character SQLSTATE of an error that PostgreSQL sent, however it is wrapped. */
export function sqlState(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof pg.DatabaseError) return at.code
  }
  return undefined
}

/**
 * drizzle's own transaction returns a connection to the pool as healthy in every case; here a connection that timed
 * out, was lost or could not roll back is destroyed, and a loss between two statements does not end the process.
 */
async function inTransaction<T>(pool: pg.Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  const breaks = (): void => {} // shows as the next statement's failure
  client.on('error', breaks)
  let usable = false
  try {
    // guard: adv-name-any-isolation
    await client.query('begin isolation level read committed') // whatever the database's default is
    const result = await work(drizzle(client, { schema }))
    await client.query('commit')
    usable = true
    return result
  } catch (error) {
    usable = !isConnectionFailure(error) && await client.query('rollback').then(() => true, () => false)
    throw error
  } finally {
    client.off('error', breaks)
    client.release(!usable)
  }
}

// 08 connection, 53 resources, 57 cancelled or shut down, 58 system, 25006 read-only after a failover, 55P03 lock
// timeout.
const NOT_NOW = /^(08|53|57|58|25006|55P03)/
// ENOENT: the socket of the embedded server goes with it.
const SYSTEM_CODES = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
// pg gives these errors no code of their own.
const BROKEN = /terminated|timeout|not queryable|after calling end/i

function isConnectionFailure(error: unknown): boolean {
  const root = rootOf(error)
  if (root instanceof pg.DatabaseError) return NOT_NOW.test(root.code ?? '')
  return root instanceof Error &&
    (SYSTEM_CODES.has('code' in root ? String(root.code) : '') || BROKEN.test(root.message))
}

/**
 * A GatehouseError passes unchanged. Of other errors only the root cause is kept: drizzle's wrapper repeats the
 * statement with its parameters, which are personal data.
 */
export function translated(error: unknown, url: string): unknown {
  const root = rootOf(error)
  if (root instanceof GatehouseError || root instanceof OutOfDate) return root
  const state = sqlState(root)
  if (state === '42P01' || state === '42703') {
    return new GatehouseError('database_not_migrated', {
      cause: error,
      detail: 'a table or a column is missing in the database',
      remedy: 'Run gatehouse migrate.',
    })
  }
  return databaseFailure(root, url) ?? (isConnectionFailure(root) ? connectFailure(root, url) : root)
}

function rootOf(error: unknown): unknown {
  for (let at = error;; at = (at as Error).cause) {
    if (at instanceof GatehouseError || at instanceof OutOfDate) return at
    if (at instanceof AggregateError && at.errors.length > 0) return at.errors[0] // localhost: one failure an address
    if (!(at instanceof Error && at.cause instanceof Error)) return at
  }
}

/** Thrown inside a transaction to roll it back: the data it was planned on has changed. */
export class OutOfDate extends Error {}
