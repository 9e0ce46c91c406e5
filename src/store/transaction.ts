// One transaction on the server of record, whose commit counts only once PostgreSQL has confirmed it.
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import { GatehouseError } from '../core/errors.js'
import { isConnectionFailure } from './database-errors.js'
import { cancelStatement } from './postgres-client.js'
import * as schema from './schema.js'
import type { CurrentServer } from './server-of-record/record.js'
import { OtherServer } from './server-of-record/verify.js'

export type Transaction = NodePgDatabase<typeof schema>

/**
 * drizzle's own transaction returns a connection to the pool as healthy in every case; here a connection that timed
 * out, was lost or could not roll back is destroyed, and a loss between two statements does not end the process.
 * @throws OtherServer; `database_unavailable` where the commit was not confirmed
 */
export async function inTransaction<T>(
  pool: pg.Pool,
  server: CurrentServer,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  const breaks = (): void => {} // shows as the next statement's failure
  client.on('error', breaks)
  let usable = false
  try {
    const result = await transactionOn(client, server, work)
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

/** The same on one connection, which the caller closes or rolls back after a failure. */
export async function transactionOn<T>(
  client: pg.ClientBase,
  server: CurrentServer,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  await begin(client, server)
  const result = await work(drizzle(client as pg.Client, { schema }))
  await confirmed(client, server.poolUrl, () => client.query('commit'))
  return result
}

/** A commit waits for the synchronous standby, where there is one, even if the role's default does not. */
export const WAIT_FOR_STANDBY = `select set_config('synchronous_commit', 'on', true)
  where current_setting('synchronous_commit') in ('off', 'local', 'remote_write')`

/** Behind a pooler the same connection may lead to another server with each transaction. */
async function begin(client: pg.ClientBase, { key, identitySql }: CurrentServer): Promise<void> {
  const results = await client.query(
    // guard: adv-name-any-isolation
    `begin isolation level read committed; ${WAIT_FOR_STANDBY}; select ${identitySql} as server`,
  ) as unknown as readonly pg.QueryResult<{ server: string | null }>[]
  const answered = results.at(-1)?.rows[0]?.server
  if (key !== undefined && answered !== key) throw new OtherServer() // guard: record-transaction-verified
}

/** How long a commit may wait for a standby; shorter than the client waits for any statement. */
const COMMIT_MS = 3_000

interface Notice {
  readonly code: string | undefined
  readonly message: string | undefined
}

/**
 * PostgreSQL reports a commit that no synchronous standby has confirmed as done, with a warning: it is on the primary
 * alone, and a failover would lose it.
 * @param url of the server, to cancel the wait
 * @throws `database_unavailable`
 */
export async function confirmed<T>(client: pg.ClientBase, url: string, commit: () => Promise<T>): Promise<T> {
  let warning: string | undefined
  const notice = ({ code, message }: Notice): void => {
    if (code?.startsWith('01') === true) warning = message ?? code
  }
  client.on('notice', notice)
  // No time limit of the server applies to a commit, and a backend goes on waiting when its client has gone.
  const waiting = setTimeout(() => cancelStatement(client, url), COMMIT_MS)
  const result = await commit().finally(() => {
    clearTimeout(waiting)
    client.off('notice', notice)
  })
  if (warning === undefined) return result
  // guard: record-commit-confirmed
  throw new GatehouseError('database_unavailable', {
    detail: `PostgreSQL did not confirm a change: ${warning}`,
    remedy: 'Check the synchronous standby (pg_stat_replication on the primary): a change counts once it has it too.',
    facts: { reason: 'unconfirmed' },
  })
}

/**
 * Commits that wait for a standby hold their connections: at most half of the pool, so that reads go on.
 */
export interface WriterLimit {
  /** Runs work when fewer are running. @throws `database_unavailable` after `timeoutMs` */
  run<T>(work: () => Promise<T>): Promise<T>
  /** How many wait for their turn. */
  waiting(): number
}

export function createWriterLimit(
  { poolSize, timeoutMs = 5_000 }: { poolSize: number, timeoutMs?: number },
): WriterLimit {
  const most = Math.max(1, Math.floor(poolSize / 2)) // guard: record-half-the-pool
  const waiting: (() => void)[] = []
  let running = 0
  const turn = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const start = (): void => {
        clearTimeout(late)
        resolve()
      }
      const late = setTimeout(() => {
        waiting.splice(waiting.indexOf(start), 1)
        reject(
          new GatehouseError('database_unavailable', {
            detail: `${most} transactions have been under way for ${timeoutMs} ms, half of database.poolSize.`,
            remedy: 'Check what PostgreSQL is waiting for (pg_stat_activity), and the synchronous standby.',
            facts: { reason: 'timeout' },
          }),
        )
      }, timeoutMs)
      waiting.push(start)
    })
  return {
    async run(work) {
      if (running >= most) await turn()
      else running++
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) running--
        else next()
      }
    },
    waiting: () => waiting.length,
  }
}
