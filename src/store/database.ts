// The connection pool, and the one place that converts errors of the database into a GatehouseError. Timeouts apply on
// both sides: the server cancels a statement before the client stops waiting, so that no transaction is left open.
// Deadlocks and serialization failures are retried.
import { setTimeout as sleep } from 'node:timers/promises'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { GatehouseError } from '../core/errors.js'
import { isConnectionFailure, OutOfDate, rootOf, sqlState } from './database-errors.js'
import { connectFailure, databaseFailure } from './database-failure.js'
import { destroyConnection, PooledClient } from './postgres-client.js'
import * as schema from './schema.js'
import { createWriterLimit, inTransaction, type Transaction } from './transaction.js'
import { OtherServer, otherServer, verified } from './server-of-record/verify.js'
import type { CurrentServer } from './server-of-record/record.js'
import { serverAt, type DatabaseServer } from './server-of-record/server-of-record.js'

export type Drizzle = NodePgDatabase<typeof schema>
export type { Transaction } from './transaction.js'

export interface Database {
  /** Runs a query. @throws `database_unavailable` where the database does not answer */
  ask<T>(work: (db: Drizzle) => Promise<T>): Promise<T>
  /** One transaction, run again (at most five times in all) after a deadlock or a serialization failure. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** An expression that a statement selects beside its rows, for `confirm`: which server answered. */
  readonly identitySql: string
  /** @throws `database_unavailable` where the server that answered is not the server of record */
  confirm(key: string | null | undefined): void
  pool(): PoolState
  close(): Promise<void>
}

export interface PoolState {
  /** Connections with work. */
  readonly busy: number
  readonly idle: number
  /** Work that waits for a connection, and transactions that wait for their half of the pool. */
  readonly waiting: number
}

export interface DatabaseOptions {
  /** Where connections lead; a text is the address of one server, which is not verified. */
  readonly server: DatabaseServer | string
  readonly poolSize: number
  /** Called when an idle connection is lost; the pool replaces it. */
  readonly onIdleError?: (error: Error) => void
  /** Of one statement (milliseconds). */
  readonly timeoutMs?: number
}

const RETRIED = new Set(['40001', '40P01']) // serialization_failure, deadlock_detected
const ATTEMPTS = 5
const DEFAULT_TIMEOUT_MS = 5_000

export function openDatabase(options: DatabaseOptions): Database {
  const server = serverAt(options.server)
  const pools = createPools(server, options)
  const writers = createWriterLimit(options)
  /** @param work gets the pool of the server of record; what another server returned is refused */
  const onServer = async <T>(work: (pool: ServerPool) => Promise<T>): Promise<T> => {
    const confirmed = server.confirmed() // no promise in the usual case
    const at = confirmed instanceof Promise ? await confirmed : confirmed
    const result = await work(pools.of(at)).catch((error: unknown) => {
      if (isConnectionFailure(error) || rootOf(error) instanceof OtherServer) server.suspect()
      throw translated(error, at.poolUrl)
    })
    if (server.current() !== at) throw otherServer(at.poolUrl) // guard: record-pool-left
    return result
  }
  return {
    ask: (work) => onServer(({ db }) => work(db)),
    async transaction(work) {
      for (let attempt = 1;; attempt++) {
        try {
          return await writers.run(() => onServer(({ pool, server: at }) => inTransaction(pool, at, work)))
        } catch (error) {
          if (attempt === ATTEMPTS || !RETRIED.has(sqlState(error) ?? '')) throw error
          await sleep(10 * 2 ** attempt * Math.random())
        }
      }
    },
    get identitySql() {
      return server.current().identitySql
    },
    confirm(key) {
      const { key: expected, url } = server.current()
      if (expected === undefined || key === expected) return
      server.suspect()
      throw otherServer(url)
    },
    pool() {
      const state = pools.state()
      return { ...state, waiting: state.waiting + writers.waiting() }
    },
    close: pools.close,
  }
}

/** One pool at a time: that of the server of record. */
function createPools(server: DatabaseServer, options: DatabaseOptions) {
  let open: ServerPool | undefined
  const closing = new Set<Promise<void>>()
  const leave = (): void => {
    if (open === undefined) return
    const closed = open.abandon().finally(() => closing.delete(closed))
    closing.add(closed)
    open = undefined
  }
  server.onChange(leave)
  return {
    of(at: CurrentServer): ServerPool {
      if (open?.server !== at) leave()
      open ??= openServerPool(at, options)
      return open
    },
    state: (): PoolState => open?.state() ?? { busy: 0, idle: 0, waiting: 0 },
    async close(): Promise<void> {
      leave()
      await Promise.all(closing)
    },
  }
}

/** The pool of one server. */
interface ServerPool {
  readonly server: CurrentServer
  readonly pool: pg.Pool
  readonly db: Drizzle
  state(): PoolState
  /** Closes all connections without waiting for a server that may never answer. */
  abandon(): Promise<void>
}

function openServerPool(server: CurrentServer, options: DatabaseOptions): ServerPool {
  const { poolSize, onIdleError, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const clients = new Set<pg.Client>()
  let abandoned = false
  const pool = new pg.Pool({
    connectionString: server.poolUrl,
    Client: PooledClient as unknown as typeof pg.Client,
    max: poolSize,
    connectionTimeoutMillis: Math.min(timeoutMs, DEFAULT_TIMEOUT_MS),
    query_timeout: timeoutMs,
    idleTimeoutMillis: 60_000,
    maxLifetimeSeconds: 600,
    statement_timeout: Math.ceil(timeoutMs * 0.8),
    lock_timeout: Math.ceil(timeoutMs * 0.8),
    idle_in_transaction_session_timeout: timeoutMs * 2,
    keepAlive: true,
    application_name: 'gatehouse',
    onConnect: verifying(server), // guard: record-connection-verified
  })
  pool.on('connect', (client) => clients.add(client))
  pool.on('remove', (client) => clients.delete(client))
  pool.on('error', (error) => {
    if (!abandoned) onIdleError?.(error)
  })
  return {
    server,
    pool,
    db: drizzle(pool, { schema }),
    state: () => ({ busy: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    async abandon() {
      abandoned = true
      const ended = pool.end()
      if (server.key !== undefined) { for (const client of clients) destroyConnection(client) }
      await ended
    },
  }
}

/** The pool waits for it, which its types leave out. */
function verifying(server: CurrentServer): (client: pg.ClientBase) => void {
  return (client) => verified(client, server) as unknown
}

/**
 * A GatehouseError passes unchanged. Of other errors only the root cause is kept: drizzle's wrapper repeats the
 * statement with its parameters, which are personal data.
 */
export function translated(error: unknown, url: string): unknown {
  const root = rootOf(error)
  if (root instanceof GatehouseError || root instanceof OutOfDate) return root
  if (root instanceof OtherServer) return otherServer(url)
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
