// Tries what Gatehouse relies on and an engine with PostgreSQL's protocol may lack: advisory locks that exclude each
// other, and triggers that fire. An engine may also accept such statements and do nothing, without an error.
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { GatehouseError } from '../core/errors.js'
import { sqlState } from './database-errors.js'
import { messageOf, place, quoted } from './database-failure.js'
import { addressOf } from './postgres-client.js'
import { withClient } from './postgres-server-state.js'

/** Of one statement (milliseconds). */
const TIMEOUT_MS = 5_000
const BEGIN = `begin isolation level read committed; set local statement_timeout = ${TIMEOUT_MS - 1_000}`

/** What the engine lacks: `reason` in the log and in the findings of `doctor`. */
type Missing = 'advisory_locks' | 'triggers'

/**
 * On two connections, each with one transaction that is rolled back: a pooler in transaction mode keeps nothing of it.
 * @param url of the server of record
 * @throws `database_engine_unsupported`; `database_unavailable`
 */
export async function tryEngine(url: string): Promise<void> {
  const name = 'gatehouse engine trial'
  await withClient(url, name, async (first) => {
    await withClient(url, name, async (second) => {
      await rolledBack([first, second], async () => {
        await tryLock(first, second, url)
        await tryTriggers(first, url)
      })
    }, { timeoutMs: TIMEOUT_MS })
  }, { timeoutMs: TIMEOUT_MS })
}

async function rolledBack(clients: readonly pg.Client[], work: () => Promise<void>): Promise<void> {
  try {
    for (const client of clients) await client.query(BEGIN)
    await work()
  } finally {
    for (const client of clients) await client.query('rollback').catch(() => {}) // the connection is closed next
  }
}

/** A random name: replicas that start at the same time do not meet. */
async function tryLock(first: pg.Client, second: pg.Client, url: string): Promise<void> {
  const name = `gatehouse trial ${randomUUID()}`
  const obtains = async (client: pg.Client): Promise<boolean> => {
    const { rows: [row] } = await client.query<{ obtained: boolean }>(
      'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as obtained',
      [name],
    ).catch((error: unknown) => refused(error, 'advisory_locks', url))
    return row?.obtained === true
  }
  if (!await obtains(first)) throw unsupported('advisory_locks', 'a connection did not obtain a free lock', url)
  // guard: record-engine-locks
  if (await obtains(second)) throw unsupported('advisory_locks', 'two connections obtained the same lock', url)
}

/** The schema of temporary tables, or else that of the migrations; null where the role may create in neither. */
const SCHEMA = `select case when has_database_privilege(current_database(), 'TEMPORARY') then 'pg_temp'
  when has_schema_privilege(current_schema(), 'CREATE') then current_schema() end as schema`

/** A role that may create no table passes: another role has applied the migrations, and with them the triggers. */
async function tryTriggers(client: pg.Client, url: string): Promise<void> {
  const fires = async (): Promise<boolean | undefined> => {
    const { rows: [row] } = await client.query<{ schema: string | null }>(SCHEMA)
    return row?.schema ? await triggerFires(client, row.schema) : undefined
  }
  const result = await fires().catch((error: unknown) => {
    if (isMissingRight(error)) return undefined // of PL/pgSQL, for example
    return refused(error, 'triggers', url)
  })
  // guard: record-engine-triggers
  if (result === false) throw unsupported('triggers', 'the trigger of a table did not fire', url)
}

/** Whether a trigger fires, of the kind that the migrations create. */
async function triggerFires(client: pg.Client, schema: string): Promise<boolean> {
  const suffix = randomUUID().slice(0, 8)
  const name = (what: string): string => `${quoted(schema)}.gatehouse_trial_${what}_${suffix}`
  const [table, gone, trial] = [name('rows'), name('gone'), name('trigger')]
  const results = await client.query(`
    create table ${table} (n int);
    create table ${gone} (n int);
    create function ${trial}() returns trigger language plpgsql as
      $$begin insert into ${gone} select n from before; return null; end$$;
    create trigger gatehouse_trial after delete on ${table} referencing old table as before for each statement
      execute function ${trial}();
    insert into ${table} values (1);
    delete from ${table};
    select n from ${gone}`) as unknown as readonly pg.QueryResult[]
  return results.at(-1)?.rowCount === 1
}

// 0A feature not supported, 42 syntax or unknown object, P0 and XX: what engines use that have no code of their own.
const REFUSED = /^(0A|42|P0|XX)/

function refused(error: unknown, what: Missing, url: string): never {
  if (isMissingRight(error) || !REFUSED.test(sqlState(error) ?? '')) throw error
  throw unsupported(what, messageOf(error), url, error)
}

/** insufficient_privilege */
function isMissingRight(error: unknown): boolean {
  return sqlState(error) === '42501'
}

const REMEDIES: Readonly<Record<Missing, string>> = {
  advisory_locks: 'Use PostgreSQL, or a service that runs it (docs/failover.md). If database.url leads to several ' +
    'servers through a pooler or a load balancer, let it lead to the primary alone.',
  triggers: 'Use PostgreSQL, or a service that runs it (docs/failover.md). If it is PostgreSQL, reset ' +
    'session_replication_role to origin for the role and the database of database.url.',
}

function unsupported(reason: Missing, cause: string, url: string, error?: unknown): GatehouseError {
  const what = reason === 'triggers' ? 'triggers' : 'advisory locks'
  return new GatehouseError('database_engine_unsupported', {
    cause: error,
    detail: `The database at ${place(addressOf(url))} has no working ${what}: ${cause}.`,
    remedy: REMEDIES[reason],
    facts: { reason },
  })
}
