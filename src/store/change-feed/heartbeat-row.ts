// The row of this replica, which each heartbeat updates. A primary that has lost its synchronous standby, or that was
// replaced while it was cut off, cannot confirm the update: its rows do not count any more.
import type pg from 'pg'
import { confirmed, WAIT_FOR_STANDBY } from '../transaction.js'

/** Shorter than the client waits, so that no backend waits for a standby after its client has gone. */
const TIMEOUT_MS = 4_000

/**
 * @param replica letters, digits, `-` and `_`
 * @throws `database_unavailable` where the update is not confirmed
 */
export async function updateHeartbeat(client: pg.ClientBase, replica: string, beats: number): Promise<void> {
  if (!/^[\w-]+$/.test(replica) || !Number.isSafeInteger(beats)) throw new Error('not the name of a replica')
  // One message for all statements: behind a pooler in transaction mode a setting of the session would stay behind.
  await confirmed(client, () =>
    client.query(`begin isolation level read committed; ${WAIT_FOR_STANDBY};
      set local statement_timeout = ${TIMEOUT_MS};
      insert into replicas (replica, beats) values ('${replica}', ${beats})
        on conflict (replica) do update set beats = excluded.beats, beat_at = clock_timestamp();
      commit`))
}
