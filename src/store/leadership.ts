// Leader election: an advisory lock in a transaction that stays open, on a dedicated connection. PostgreSQL releases it
// immediately when the process dies and within some fifteen seconds (keepalives) when the network fails; the former
// holder notices at its next query. A session-level lock would outlive its holder behind a pool in transaction mode.
import { GatehouseError } from '../core/errors.js'
import type { Leadership } from '../core/reevaluation.js'
import { createDedicatedConnection, WITHOUT_TIME_LIMITS, type DedicatedConnection } from './dedicated-connection.js'
import { coalesced } from '../core/coalesced.js'
import { serverAt, type DatabaseServer } from './server-of-record/server-of-record.js'

export interface LockOptions {
  /** A text is the address of one server, which is not verified. */
  readonly server: DatabaseServer | string
  /** The same in every replica. */
  readonly name: string
  /** What its holder does, for the remedy of an error. */
  readonly work?: string
  readonly timeoutMs?: number
}

// READ COMMITTED: between statements it has no snapshot (pg_stat_activity.backend_xmin is null), so it holds no vacuum
// back.
// guard: sync-lock-unlimited, sync-lock-no-snapshot
const BEGIN = `begin isolation level read committed read only; ${WITHOUT_TIME_LIMITS};
  set local tcp_keepalives_idle = 5; set local tcp_keepalives_interval = 5; set local tcp_keepalives_count = 2`

export function createLock(options: LockOptions): Leadership & { close(): Promise<void> } {
  const { name, work = 're-evaluation', timeoutMs = 5_000 } = options
  const server = serverAt(options.server)
  let own: DedicatedConnection | undefined
  let held = false

  const lose = (broken: DedicatedConnection): void => {
    if (own !== broken) return
    own = undefined
    held = false
    broken.drop()
  }
  const connect = async (): Promise<DedicatedConnection> => {
    const next: DedicatedConnection = createDedicatedConnection({
      server: server.current(),
      name: 'lock',
      timeoutMs,
      onLost: () => lose(next),
    })
    own = next
    await next.connect().catch((error: unknown) => {
      lose(next)
      throw error
    })
    return next
  }
  server.onChange(() => {
    if (own !== undefined) lose(own) // guard: record-lock-left
  })
  const ask = async (): Promise<boolean> => {
    const current = own ?? await connect()
    try {
      const mine = held ? await current.client.query('select 1').then(() => true) : await obtain(current, name)
      held = mine && own === current
      return held
    } catch (error) {
      lose(current)
      throw error
    }
  }
  const release = async (): Promise<void> => {
    const current = own
    own = undefined
    held = false
    await current?.close()
  }
  const unavailable = (cause: unknown) => lockUnavailable(cause, work)
  return { held: coalesced(() => ask().catch(unavailable)), release, close: release } // guard: sync-lock-unavailable
}

async function obtain({ client }: DedicatedConnection, name: string): Promise<boolean> {
  await client.query(BEGIN) // guard: sync-lock-stays
  const { rows: [row] } = await client.query<{ obtained: boolean }>(
    'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as obtained',
    [name],
  )
  if (row?.obtained === true) return true
  await client.query('rollback')
  return false
}

/** Lock state unknown (not: held elsewhere): no replica may run. */
function lockUnavailable(cause: unknown, work: string): never {
  throw new GatehouseError('sync_lock_unavailable', {
    cause,
    detail: `PostgreSQL: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: `The ${work} needs a connection outside the pool: check max_connections, and the network between ` +
      'Gatehouse and PostgreSQL.',
  })
}
