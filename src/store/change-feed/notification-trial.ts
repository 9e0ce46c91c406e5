// Tries whether a notification arrives on another connection: behind a pooler in transaction mode it does not.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { withClient } from '../postgres-server-state.js'
import { hasNoNotifications } from './outbox.js'

const WAIT_MS = 1_000
const LIMIT = { timeoutMs: 5_000 }

/** @param url of one server, or of the pooler in front of it @throws `database_unavailable` */
export async function notificationsArrive(url: string): Promise<boolean> {
  const name = 'gatehouse notification trial'
  const payload = randomUUID()
  return await withClient(
    url,
    name,
    async (listener) => {
      let arrived = false
      const arrives = new Promise<void>((resolve) =>
        listener.on('notification', (received) => {
          arrived ||= received.payload === payload
          if (arrived) resolve()
        })
      )
      await listener.query('listen gatehouse_trial')
      await withClient(
        url,
        name,
        (other) => other.query('select pg_notify($1, $2)', ['gatehouse_trial', payload]),
        LIMIT,
      )
      await Promise.race([arrives, sleep(WAIT_MS, undefined, { ref: false })])
      return arrived
    },
    LIMIT,
  ).catch((error: unknown) => {
    if (hasNoNotifications(error)) return false
    throw error
  })
}
