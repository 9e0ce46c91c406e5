// A long-lived connection outside the pool (LISTEN, advisory lock). Dropped on the first error, without waiting for a
// server that may never answer.
import type pg from 'pg'
import { createClient, destroyConnection } from './postgres-client.js'
import type { CurrentServer } from './server-of-record/record.js'
import { verified } from './server-of-record/verify.js'

export interface DedicatedConnectionOptions {
  readonly server: CurrentServer
  /** The rest of `application_name`, after "gatehouse". */
  readonly name: string
  readonly timeoutMs: number
  /** Of one statement, where it differs. */
  readonly statementTimeoutMs?: number
  /** Called when the connection fails or the server closes it. */
  readonly onLost: (why: string) => void
}

export interface DedicatedConnection {
  readonly client: pg.Client
  /** Connects, and makes sure that this is the server. */
  connect(): Promise<void>
  drop(): void
  close(): Promise<void>
}

/** For a transaction that stays open: disables the timeouts that the role or the server may have set. */
export const WITHOUT_TIME_LIMITS =
  `set local statement_timeout = 0; set local lock_timeout = 0; set local idle_in_transaction_session_timeout = 0;
  select set_config('transaction_timeout', '0', true) where current_setting('server_version_num')::int >= 170000`

export function createDedicatedConnection(
  { server, name, timeoutMs, statementTimeoutMs = timeoutMs, onLost }: DedicatedConnectionOptions,
): DedicatedConnection {
  const client = createClient({
    connectionString: server.url,
    application_name: `gatehouse ${name}`,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: statementTimeoutMs,
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
    async connect() {
      await client.connect()
      await verified(client, server) // guard: live-same-server
    },
    drop() {
      removeListeners()
      destroyConnection(client)
    },
    async close() {
      removeListeners()
      await Promise.race([client.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1_000).unref())])
    },
  }
}
