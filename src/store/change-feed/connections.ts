// The LISTEN and the NOTIFY connection. A heartbeat is sent on another connection than the one that listens: behind a
// pool in transaction mode a listener receives only the notifications that its own statements send.
import type pg from 'pg'
import { createDedicatedConnection, type DedicatedConnection } from '../dedicated-connection.js'
import type { CurrentServer } from '../server-of-record/record.js'

const CHANNEL = 'gatehouse'

export interface ChangeConnections {
  /** When LISTEN was acknowledged, by the monotonic clock; undefined until then. */
  readonly since: number | undefined
  /**
   * Sends the next heartbeat, one at a time; a call during a send causes one more after it. Does nothing before LISTEN
   * is acknowledged, which sends the first one.
   */
  beat(): void
  /** Closes both sockets without waiting for a server that may never answer. */
  drop(): void
  close(): Promise<void>
}

export interface ChangeConnectionsOptions {
  /** Both connections lead to this server, or are closed. */
  readonly server: CurrentServer
  readonly timeoutMs: number
  readonly receive: (payload: string) => void
  /** Payload of the next heartbeat; called when it is sent. */
  readonly nextHeartbeat: () => string
  /** Commits the heartbeat to the row of this replica, before the notification is sent. */
  readonly writeHeartbeat: (client: pg.ClientBase, at: CurrentServer) => Promise<void>
  /** Called once, and never after drop() or close(): neither connection can be used any more. */
  readonly onLost: (why: string) => void
}

export function openChangeConnections(
  { server, timeoutMs, receive, nextHeartbeat, writeHeartbeat, onLost }: ChangeConnectionsOptions,
): ChangeConnections {
  let over = false
  let since: number | undefined
  const connectionNamed = (name: string): DedicatedConnection =>
    createDedicatedConnection({ server, name, timeoutMs, onLost: lost })
  const [listener, notifier] = [connectionNamed('listener'), connectionNamed('heartbeat')]
  const drop = (): void => {
    over = true
    listener.drop()
    notifier.drop()
  }
  function lost(why: string): void {
    if (over) return
    drop()
    onLost(why)
  }
  const failed = (error: unknown): void => lost(error instanceof Error ? error.message : String(error))
  const open = async (): Promise<void> => {
    await Promise.all([listener.connect(), notifier.connect()])
    await listener.client.query(`listen ${CHANNEL}`)
    since = performance.now()
    beat()
  }
  const beat = oneAtATime(async () => {
    if (over || since === undefined) return
    const send = async (): Promise<void> => {
      const payload = nextHeartbeat()
      await writeHeartbeat(notifier.client, server)
      // guard: live-heartbeat-crosses
      await notifier.client.query('select pg_notify($1, $2)', [CHANNEL, payload])
    }
    await send().catch(failed)
  })
  listener.client.on('notification', ({ payload = '' }: pg.Notification) => receive(payload))
  open().catch(failed)
  return {
    get since() {
      return since
    },
    beat,
    drop,
    async close() {
      over = true
      await Promise.all([listener.close(), notifier.close()])
    },
  }
}

/** A call while the work is running causes one more run after it. */
function oneAtATime(work: () => Promise<void>): () => void {
  let running = false
  let again = false
  const run = (): void => {
    again = running
    if (running) return
    running = true
    void work().finally(() => {
      running = false
      if (again) run()
    })
  }
  return run
}
