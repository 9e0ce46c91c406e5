// The rows of the replicas. Each replica updates its own with every heartbeat: a primary that has lost its synchronous
// standby, or that was replaced while it was cut off, cannot confirm the update, and its rows do not count any more.
import pg from 'pg'
import type { Announcement } from '../../core/replicas.js'
import type { CurrentServer } from '../server-of-record/record.js'
import { confirmed, WAIT_FOR_STANDBY } from '../transaction.js'

export interface Heartbeat extends Announcement {
  readonly replica: string
  readonly count: number
  /** The number of the last confirmed one; 0: there is none, and the row is inserted. */
  readonly confirmed: number
  /** Whether notifications reach this replica. */
  readonly listens: boolean
}

/**
 * @returns false where the row is missing or older than what was confirmed: the server has lost a part of its history
 * @throws `database_unavailable` where the update is not confirmed
 */
export async function writeHeartbeat(
  client: pg.ClientBase,
  { url }: CurrentServer,
  heartbeat: Heartbeat,
): Promise<boolean> {
  // One message for all statements: behind a pooler in transaction mode a setting of the session would stay behind.
  const results = await confirmed(
    client,
    url,
    () => client.query(`begin isolation level read committed; ${WAIT_FOR_STANDBY}; ${upsert(heartbeat)}; commit`),
  ) as unknown as readonly pg.QueryResult<{ written: boolean }>[]
  return results.at(-2)?.rows[0]?.written === true
}

function upsert(heartbeat: Heartbeat): string {
  const { replica, count, confirmed: last, listens, name, config, policy, throttledMs } = heartbeat
  const [id, place, hash] = [replica, name, config].map((text) => pg.escapeLiteral(text))
  const version = Number.isSafeInteger(policy) ? String(policy) : 'null'
  const throttledUntil = throttledMs === undefined
    ? 'null'
    : `clock_timestamp() + ${Math.round(throttledMs)} * interval '1 millisecond'`
  // guard: lost-counter, lost-heartbeat-late
  return `with updated as (
      update replicas set heartbeats = greatest(heartbeats, ${count}), heartbeat_at = clock_timestamp(),
        name = ${place}, config = ${hash}, listens = ${listens}, policy = ${version},
        throttled_until = ${throttledUntil}
      where replica = ${id} and heartbeats >= ${last} returning 1),
    inserted as (
      insert into replicas (replica, heartbeats, name, config, listens, policy)
      select ${id}, ${count}, ${place}, ${hash}, ${listens}, ${version}::integer where ${last} = 0
      on conflict (replica) do nothing returning 1)
    select exists (select from updated) or exists (select from inserted) as written`
}

export interface ReplicaRow extends Announcement {
  readonly replica: string
  readonly heartbeats: number
  readonly listens: boolean
}

/** Those that were alive within the last minute, by the server's clock; at most a thousand. */
export async function readReplicas(client: pg.ClientBase): Promise<readonly ReplicaRow[]> {
  const { rows } = await client.query<Omit<ReplicaRow, 'heartbeats'> & { heartbeats: string }>(
    `select replica, heartbeats, name, config, listens from replicas
     where abs(extract(epoch from clock_timestamp() - heartbeat_at)) < 60 order by replica limit 1000`,
  )
  return rows.map((row) => ({ ...row, heartbeats: Number(row.heartbeats) }))
}
