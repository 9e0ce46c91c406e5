// The two connections that changes are heard on and told of. A notice to oneself is sent on another one than it is
// heard on: a pool in transaction mode would give whoever listens the notices that are sent by its own statement, and
// nobody else's.
import type pg from 'pg'
import { createOwnConnection, type OwnConnection } from './own-connection.js'

const CHANNEL = 'gatehouse'
/** What tells one server from another, and from itself before a restart. */
export const SERVER = 'select pg_postmaster_start_time()::text as server'

export interface ChangeConnections {
  /** When LISTEN was answered, by the monotonic clock, and by which server (`SERVER`); undefined until then. */
  readonly since: number | undefined
  readonly server: string | undefined
  /**
   * Sends the next beat, one at a time; what is asked for meanwhile goes after it. Nothing before LISTEN was answered,
   * when the first one goes by itself.
   */
  beat(): void
  /** Without waiting for a server that may never answer. */
  drop(): void
  close(): Promise<void>
}

export interface ChangeConnectionsOptions {
  readonly url: string
  readonly timeoutMs: number
  readonly hear: (payload: string) => void
  /** Payload of the next beat, asked for when it is sent. */
  readonly nextBeat: () => string
  /** Once, and never after drop() or close(): both are of no use any more. */
  readonly onLost: (why: string) => void
}

export function openChangeConnections(
  { url, timeoutMs, hear, nextBeat, onLost }: ChangeConnectionsOptions,
): ChangeConnections {
  let over = false
  let since: number | undefined
  let server: string | undefined
  let sending = false
  let again = false
  const own = (name: string): OwnConnection => createOwnConnection({ url, name, timeoutMs, onLost: lost })
  const [hears, tells] = [own('listener'), own('heartbeat')]
  const drop = (): void => {
    over = true
    hears.drop()
    tells.drop()
  }
  function lost(why: string): void {
    if (over) return
    drop()
    onLost(why)
  }
  const failed = (error: unknown): void => lost(error instanceof Error ? error.message : String(error))
  const open = async (): Promise<void> => {
    await Promise.all([hears.client.connect(), tells.client.connect()])
    await hears.client.query(`listen ${CHANNEL}`)
    server = (await hears.client.query<{ server: string }>(SERVER)).rows[0]?.server
    since = performance.now()
    beat()
  }
  const beat = (): void => {
    if (over || since === undefined) return
    again = sending
    if (sending) return
    sending = true
    tells.client.query('select pg_notify($1, $2)', [CHANNEL, nextBeat()]).catch(failed).finally(() => {
      sending = false
      if (again) beat()
    })
  }
  hears.client.on('notification', ({ payload = '' }: pg.Notification) => hear(payload))
  open().catch(failed)
  return {
    get since() {
      return since
    },
    get server() {
      return server
    },
    beat,
    drop,
    async close() {
      over = true
      await Promise.all([hears.close(), tells.close()])
    },
  }
}
