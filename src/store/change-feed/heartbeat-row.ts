// The row of this replica, which each heartbeat updates. A primary that has lost its synchronous standby, or that was
// replaced while it was cut off, cannot confirm the update: its rows do not count any more.
import type pg from 'pg'
import type { CurrentServer } from '../server-of-record/record.js'
import { confirmed, WAIT_FOR_STANDBY } from '../transaction.js'

/**
 * @param replica letters, digits, `-` and `_`
 * @throws `database_unavailable` where the update is not confirmed
 */
export async function updateHeartbeat(
  client: pg.ClientBase,
  { url }: CurrentServer,
  replica: string,
  count: number,
): Promise<void> {
  if (!/^[\w-]+$/.test(replica) || !Number.isSafeInteger(count)) throw new Error('not the name of a replica')
  // One message for all statements: behind a pooler in transaction mode a setting of the session would stay behind.
  await confirmed(client, url, () =>
    client.query(`begin isolation level read committed; ${WAIT_FOR_STANDBY};
      insert into replicas (replica, heartbeats) values ('${replica}', ${count})
        on conflict (replica) do update set heartbeats = excluded.heartbeats, heartbeat_at = clock_timestamp();
      commit`))
}
