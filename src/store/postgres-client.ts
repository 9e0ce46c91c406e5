// The one function that creates connections to PostgreSQL: with TLS as the URL requires (connection.ts) and, with
// libpq's `require_auth=scram-sha-256`, with SCRAM alone. SCRAM (RFC 5802) proves the password without sending it, and
// authenticates the server as well. A server that requests a cleartext or MD5 password, or none, is refused.
import pg from 'pg'
import {
  isAddressFault,
  isSocket,
  readDatabaseAddress,
  readDatabaseServers,
  type AddressFault,
  type DatabaseAddress,
} from '../core/database-address.js'
import { GatehouseError } from '../core/errors.js'
import { PostgresConnection } from './connection.js'
import { passwordFromFile } from './password-file.js'

const REQUIRED = /[?&]require_auth=scram-sha-256(&|$)/

/** The server did not authenticate itself by SCRAM. */
export class Unproven extends Error {}

/** Members of the driver that its types leave out: its answers to password requests. */
interface Handshake {
  _handleAuthCleartextPassword(): void
  _handleAuthMD5Password(): void
  readonly connection: {
    once(event: 'authenticationSASLFinal' | 'authenticationOk', listener: () => void): void
    removeAllListeners(event: 'readyForQuery'): void
    readonly stream: { destroy(error: Error): void }
  }
}

/** @param url of one server @throws `database_unavailable` where the address cannot be read */
export function addressOf(url: string): DatabaseAddress {
  return readable(readDatabaseAddress(url, process.env))
}

/** @returns the address of each server alone @throws `database_unavailable` where the address cannot be read */
export function serversOf(url: string): readonly string[] {
  return readable(readDatabaseServers(url, process.env)).urls
}

function readable<T extends object>(read: T | AddressFault): T {
  if (!isAddressFault(read)) return read
  throw new GatehouseError('database_unavailable', {
    detail: `database.url ${read.problem}`,
    remedy: read.remedy,
    facts: { reason: 'address' },
  })
}

/** @param config whose `connectionString` must be there @throws `database_unavailable` where that cannot be read */
export function createClient(config: pg.ClientConfig): pg.Client {
  const address = addressOf(config.connectionString ?? '')
  const { url, tls, connectTimeoutMs } = address
  const connection = new PostgresConnection(tls, config)
  const connectionTimeoutMillis = Math.min(config.connectionTimeoutMillis ?? Infinity, connectTimeoutMs ?? Infinity)
  const limit = Number.isFinite(connectionTimeoutMillis) ? { connectionTimeoutMillis } : {}
  const settings: pg.ClientConfig & { connection: PostgresConnection } = {
    ...config,
    ...limit,
    connectionString: url,
    ssl: false,
    connection,
  }
  const client = new pg.Client(settings)
  if (!address.hasPassword) Object.assign(client, { password: () => passwordFromFile(address) })
  if (!REQUIRED.test(url)) return client
  const handshake = client as unknown as Handshake
  const refuse = (asked: string) => (): void => {
    handshake.connection.removeAllListeners('readyForQuery') // which may have come along in the same packet
    const reason = `the server asks for ${asked}, where SCRAM-SHA-256 is required: it is another server`
    handshake.connection.stream.destroy(new Unproven(reason))
  }
  handshake._handleAuthCleartextPassword = refuse('the password in clear') // guard: adv-embedded-clear
  handshake._handleAuthMD5Password = refuse('an MD5 of the password') // guard: adv-embedded-md5
  let proven = false
  handshake.connection.once('authenticationSASLFinal', () => {
    proven = true
  }) // whose signature the driver verifies
  handshake.connection.once('authenticationOk', () => {
    if (!proven) refuse('no password')() // guard: adv-embedded-proof
  })
  return client
}

/** For pools, which call it with `new`. */
export function PooledClient(config: pg.ClientConfig): pg.Client {
  return createClient(config)
}

/** Without waiting for a server that may never answer. */
export function destroyConnection(client: pg.ClientBase, reason = new Error('Connection terminated')): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy(error: Error): void } } }
  connection?.stream?.destroy(reason)
}

/** How long a request to cancel may take. */
const CANCEL_MS = 1_000

interface Cancelling extends pg.Connection {
  cancel(processId: number, secretKey: number): void
  connect(port: number | string, host?: string): void
}

/**
 * Cancels what this client waits for, with a new connection, as the protocol has it. The statement itself reports the
 * outcome.
 */
export function cancelStatement(client: pg.ClientBase, url: string): void {
  const canceller = createClient({ connectionString: url })
  const { connection, host, port } = canceller as unknown as { connection: Cancelling, host: string, port: number }
  const { processID, secretKey } = client as unknown as { processID: number, secretKey: number }
  connection.on('error', () => {}) // the client's own time limit remains
  connection.once('connect', () => connection.cancel(processID, secretKey))
  if (isSocket(host)) connection.connect(`${host}/.s.PGSQL.${port}`)
  else connection.connect(port, host)
  setTimeout(() => destroyConnection(canceller), CANCEL_MS).unref()
}
