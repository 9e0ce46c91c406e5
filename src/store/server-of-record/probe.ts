// Asks one server, on a new connection, who it is and whether it accepts writes.
import type pg from 'pg'
import type { GatehouseError } from '../../core/errors.js'
import { connectFailure } from '../database-failure.js'
import { refused } from '../engine-failure.js'
import { createClient, destroyConnection } from '../postgres-client.js'
import { PartHidden, readIdentity, type OptionalPart, type ServerIdentity } from './identity.js'

/** What one server answered. */
export type Probe =
  | { readonly url: string, readonly identity: ServerIdentity, readonly writable: boolean, readonly failure?: never }
  | { readonly url: string, readonly failure: GatehouseError }

/** As libpq's target_session_attrs=read-write has it: neither a standby nor read-only by a setting. */
const WRITABLE = `select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' as writable`

/** A connection of a pooler may lead to another server with every statement: one transaction stays on one server. */
const BEGIN = 'begin isolation level read committed'

/**
 * @param hidden parts of the identity that this server is known to refuse; more are added
 * @param timeoutMs a server that has not answered by then is down
 */
export async function probe(url: string, hidden: Set<OptionalPart>, timeoutMs: number): Promise<Probe> {
  const client = createClient({
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'gatehouse probe',
  })
  client.on('error', () => {}) // a lost connection shows as a failed statement
  const late = setTimeout(() => destroyConnection(client, new Error('timeout expired')), timeoutMs)
  try {
    await client.connect()
    return { url, ...await ask(client, hidden).catch((error: unknown) => refused(error, 'identity', url)) }
  } catch (error) {
    return { url, failure: connectFailure(error, url) }
  } finally {
    clearTimeout(late)
    void client.end().catch(() => {})
  }
}

async function ask(
  client: pg.Client,
  hidden: Set<OptionalPart>,
): Promise<{ readonly identity: ServerIdentity, readonly writable: boolean }> {
  await client.query(BEGIN)
  try {
    const { rows: [row] } = await client.query<{ writable: boolean }>(WRITABLE)
    return { identity: await readIdentity(client, hidden), writable: row?.writable === true }
  } catch (error) {
    if (!(error instanceof PartHidden)) throw error
    hidden.add(error.part) // guard: record-hidden-parts
    await client.query('rollback')
    return await ask(client, hidden)
  }
}
