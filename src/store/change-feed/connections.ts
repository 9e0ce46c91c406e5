// The three connections of the change feed, past the pool: one that listens, one that reads the outbox, and one that
// writes heartbeats, whose commits may wait for a standby. The one that listens sends nothing after LISTEN: behind a
// pooler in transaction mode, notifications could otherwise arrive with the answers to its own statements, and seem to
// work.
import type pg from 'pg'
import { createDedicatedConnection, type DedicatedConnection } from '../dedicated-connection.js'
import type { CurrentServer } from '../server-of-record/record.js'
import { CHANNEL, hasNoNotifications } from './outbox.js'

export interface FeedConnections {
  readonly reader: pg.Client
  readonly writer: pg.Client
  /** Connects all, and listens. */
  open(): Promise<void>
  /** Closes the sockets without waiting for a server that may never answer. */
  drop(): void
  close(): Promise<void>
}

export interface FeedConnectionsOptions {
  /** The connections lead to this server, or are closed. */
  readonly server: CurrentServer
  readonly timeoutMs: number
  /** @param sender the name of a replica */
  readonly onNotification: (sender: string) => void
  /** Called when a connection is lost. */
  readonly onLost: (why: string) => void
}

export function createFeedConnections(
  { server, timeoutMs, onNotification, onLost }: FeedConnectionsOptions,
): FeedConnections {
  const connectionNamed = (name: string): DedicatedConnection =>
    createDedicatedConnection({ server, name, timeoutMs, onLost })
  const [listener, reader, writer] = [
    connectionNamed('listener'),
    connectionNamed('changes'),
    connectionNamed('heartbeat'),
  ]
  const all = [listener, reader, writer]
  listener.client.on('notification', ({ payload = '' }: pg.Notification) => onNotification(payload))
  return {
    reader: reader.client,
    writer: writer.client,
    async open() {
      await Promise.all(all.map((each) => each.connect()))
      await listener.client.query(`listen ${CHANNEL}`).catch((error: unknown) => {
        if (!hasNoNotifications(error)) throw error
      })
    },
    drop() {
      for (const each of all) each.drop()
    },
    async close() {
      await Promise.all(all.map((each) => each.close()))
    },
  }
}
