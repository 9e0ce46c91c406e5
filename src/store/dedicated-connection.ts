// A long-lived connection outside the pool (LISTEN, advisory lock). Dropped on the first error, without waiting for a
// server that may never answer.
import type pg from 'pg'
import { createClient } from './postgres-client.js'

export interface DedicatedConnectionOptions {
  readonly url: string
  /** The rest of `application_name`, after "gatehouse". */
  readonly name: string
  readonly timeoutMs: number
  /** Called when the connection fails or the server closes it. */
  readonly onLost: (why: string) => void
}

export interface DedicatedConnection {
  readonly client: pg.Client
  drop(): void
  close(): Promise<void>
}

/** For a transaction that stays open: disables the timeouts that the role or the server may have set. */
export const WITHOUT_TIME_LIMITS =
  `set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0;
  select set_config('transaction_timeout', '0', true) where current_setting('server_version_num')::int >= 170000`

export function createDedicatedConnection(
  { url, name, timeoutMs, onLost }: DedicatedConnectionOptions,
): DedicatedConnection {
  const client = createClient({
    connectionString: url,
    application_name: `gatehouse ${name}`,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    keepAlive: true,
  })
  client.on('error', (error) => onLost(error.message))
  client.on('end', () => onLost('the connection ended'))
  const removeListeners = (): void => {
    client.removeAllListeners()
    client.on('error', () => {})
  }
  return {
    client,
    drop() {
      removeListeners()
      ;(client as unknown as { connection?: { stream?: { destroy(): void } } }).connection?.stream?.destroy()
    },
    async close() {
      removeListeners()
      await Promise.race([client.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1_000).unref())])
    },
  }
}
