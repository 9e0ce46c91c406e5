// One pool of connections, and the one place where "the database does not answer" becomes an error of ours. A frozen
// socket must not hold a request for ever, hence the timeouts; deadlocks and serialization failures are tried again.
import { setTimeout as sleep } from 'node:timers/promises'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { GatehouseError } from '../core/errors.js'
import * as schema from './schema.js'

export type Drizzle = NodePgDatabase<typeof schema>
export type Transaction = Parameters<Parameters<Drizzle['transaction']>[0]>[0]

export interface Database {
  /** Runs one piece of work. @throws `database_unavailable` where no answer came */
  ask<T>(work: (db: Drizzle) => Promise<T>): Promise<T>
  /** One transaction, run again (at most five times in all) after a deadlock or a serialization failure. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Milliseconds (monotonic) since the database last answered; Infinity where it never did. */
  silentForMs(): number
  close(): Promise<void>
}

export interface DatabaseOptions {
  readonly url: string
  readonly poolSize: number
  /** Told of connections that break while idle; they are replaced by themselves. */
  readonly onIdleError?: (error: Error) => void
  readonly timeoutMs?: number
}

const RETRIED = new Set(['40001', '40P01']) // serialization_failure, deadlock_detected
const ATTEMPTS = 5
const DEFAULT_TIMEOUT_MS = 5_000

export function openDatabase({ url, poolSize, onIdleError, timeoutMs = DEFAULT_TIMEOUT_MS }: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: 'gatehouse',
  })
  pool.on('error', (error) => onIdleError?.(error))
  const db = drizzle(pool, { schema })
  let answeredAt = -Infinity

  const ask = async <T>(work: (db: Drizzle) => Promise<T>): Promise<T> => {
    try {
      const answer = await work(db)
      answeredAt = performance.now()
      return answer
    } catch (error) {
      throw translated(error)
    }
  }
  return {
    ask,
    async transaction(work) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await ask((db) => db.transaction(work))
        } catch (error) {
          if (attempt === ATTEMPTS || !RETRIED.has(sqlState(error) ?? '')) throw error
          await sleep(10 * 2 ** attempt * Math.random())
        }
      }
    },
    silentForMs: () => performance.now() - answeredAt,
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

// Ours pass; PostgreSQL's own complaints pass, but for those that say "not now"; everything else is a broken connection.
function translated(error: unknown): unknown {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof GatehouseError || at instanceof OutOfDate) return at
  }
  const state = sqlState(error)
  if (state === '42P01' || state === '42703') return new GatehouseError('database_not_migrated', { cause: error, detail: 'a table or a column is missing in the database', remedy: 'Run gatehouse migrate.' })
  if (state !== undefined && !/^(08|53|57P|58)/.test(state)) return error
  return new GatehouseError('database_unavailable', { cause: error, detail: `PostgreSQL: ${rootMessage(error)}`, remedy: 'Check that PostgreSQL runs and that database.url is right.', ...(state === undefined ? {} : { facts: { sqlState: state } }) })
}

// drizzle's own message repeats the statement and its parameters, which have no place in a log.
function rootMessage(error: unknown): string {
  let at = error
  while (at instanceof Error && at.cause instanceof Error) at = at.cause
  if (at instanceof AggregateError && at.errors[0] instanceof Error) at = at.errors[0]
  return at instanceof Error ? at.message || ('code' in at ? String(at.code) : at.name) : String(at)
}

/** Thrown inside a transaction to undo it: what it was planned on has changed meanwhile. */
export class OutOfDate extends Error {}
