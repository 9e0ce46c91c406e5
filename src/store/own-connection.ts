// A connection outside the pool, for what lasts longer than a question: given up the moment it breaks, without waiting
// for a server that may never answer.
import type pg from 'pg'
import { createClient } from './scram-only.js'

export interface OwnConnectionOptions {
  readonly url: string
  /** What PostgreSQL shows it as, after "gatehouse". */
  readonly name: string
  readonly timeoutMs: number
  /** It broke, or the server ended it. */
  readonly onLost: (why: string) => void
}

export interface OwnConnection {
  readonly client: pg.Client
  drop(): void
  close(): Promise<void>
}

/** For a transaction that stays open: limits that the role or the server may have set do not end it. */
export const WITHOUT_TIME_LIMITS =
  `set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0;
  select set_config('transaction_timeout', '0', true) where current_setting('server_version_num')::int >= 170000`

export function createOwnConnection({ url, name, timeoutMs, onLost }: OwnConnectionOptions): OwnConnection {
  const client = createClient({
    connectionString: url,
    application_name: `gatehouse ${name}`,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    keepAlive: true,
  })
  client.on('error', (error) => onLost(error.message))
  client.on('end', () => onLost('the connection ended'))
  const hearNoMore = (): void => {
    client.removeAllListeners()
    client.on('error', () => {})
  }
  return {
    client,
    drop() {
      hearNoMore()
      ;(client as unknown as { connection?: { stream?: { destroy(): void } } }).connection?.stream?.destroy()
    },
    async close() {
      hearNoMore()
      await Promise.race([client.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1_000).unref())])
    },
  }
}
