// Tries what Gatehouse relies on and an engine with PostgreSQL's protocol may lack: advisory locks that exclude each
// other, and triggers that fire. An engine may also accept such statements and do nothing, without an error.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { GatehouseError } from '../core/errors.js'
import { failing, place, quoted } from './database-failure.js'
import { isMissingRight, refused, unsupported } from './engine-failure.js'
import { addressOf } from './postgres-client.js'
import { withClient } from './postgres-server-state.js'

/** Of one statement (milliseconds). */
const TIMEOUT_MS = 5_000
/** While the connections lead to different servers. */
const ATTEMPTS = 5
const PAUSE_MS = 1_000
const BEGIN = `begin isolation level read committed; set local statement_timeout = ${TIMEOUT_MS - 1_000}`

/**
 * On two connections, each with one transaction that is rolled back: a pooler in transaction mode keeps nothing of it.
 * @param url of the server of record
 * @throws `database_engine_unsupported`; `database_unavailable`
 */
export async function tryEngine(url: string): Promise<void> {
  for (let attempt = 1; !await onTwoConnections(url); attempt++) {
    if (attempt === ATTEMPTS) throw differentServers(url)
    await sleep(PAUSE_MS)
  }
}

/** @returns false where they lead to different servers, as a proxy does that does not know the primary yet */
async function onTwoConnections(url: string): Promise<boolean> {
  const name = 'gatehouse engine trial'
  const limit = { timeoutMs: TIMEOUT_MS }
  return await withClient(
    url,
    name,
    (first) =>
      withClient(url, name, (second) =>
        rolledBack([first, second], async () => {
          if (await startOf(first) !== await startOf(second)) return false // guard: record-engine-one-server
          await tryLock(first, second, url)
          await tryTriggers(first, url)
          return true
        }), limit),
    limit,
  )
}

/** Within a transaction a pooler does not change the server. */
async function startOf(client: pg.Client): Promise<string | undefined> {
  const { rows: [row] } = await client.query<{ start: string }>('select pg_postmaster_start_time()::text as start')
  return row?.start
}

async function rolledBack<T>(clients: readonly pg.Client[], work: () => Promise<T>): Promise<T> {
  try {
    for (const client of clients) await client.query(BEGIN)
    return await work()
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
  if (!await obtains(first)) throw unsupported('advisory_locks', 'a connection did not obtain a free one', url)
  // guard: record-engine-locks
  if (await obtains(second)) throw unsupported('advisory_locks', 'two connections obtained the same one', url)
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

function differentServers(url: string): GatehouseError {
  return failing(
    'split',
    `Two connections to ${place(addressOf(url))} lead to different servers.`,
    'Let database.url lead to the primary alone (HAProxy: option httpchk with the path /primary of Patroni), or name ' +
      'each server in it.',
  )
}
