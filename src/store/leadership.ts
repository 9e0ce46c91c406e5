// One replica at a time: an advisory lock on a connection of its own. When the process dies PostgreSQL frees it at once; when the
// network does, PostgreSQL notices within some fifteen seconds (keepalives), and the old holder when it next asks.
import pg from 'pg'
import type { Leadership } from '../core/reevaluation.js'

export interface LockOptions {
  readonly url: string
  /** The same for all that compete. */
  readonly name: string
  readonly timeoutMs?: number
}

export function createLock({ url, name, timeoutMs = 5_000 }: LockOptions): Leadership & { close(): Promise<void> } {
  let client: pg.Client | undefined
  let held = false
  let asking: Promise<boolean> | undefined

  const lose = (broken: pg.Client): void => {
    if (client !== broken) return
    client = undefined
    held = false
    broken.removeAllListeners()
    broken.on('error', () => {})
    // end() waits for a server that may never answer.
    ;(broken as unknown as { connection?: { stream?: { destroy(): void } } }).connection?.stream?.destroy()
  }
  const connect = async (): Promise<pg.Client> => {
    const next = new pg.Client({ connectionString: url, application_name: 'gatehouse lock', connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs, keepAlive: true })
    client = next
    next.on('error', () => lose(next))
    next.on('end', () => lose(next))
    try {
      await next.connect()
      await next.query('set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 2')
    } catch (error) {
      lose(next)
      throw error
    }
    return next
  }
  const ask = async (): Promise<boolean> => {
    const current = client ?? await connect()
    try {
      const { rows: [row] } = await current.query<{ held: boolean }>(held ? 'select true as held' : 'select pg_try_advisory_lock(hashtextextended($1, 0)) as held', held ? [] : [name])
      held = row?.held === true && client === current
      return held
    } catch (error) {
      lose(current)
      throw error
    }
  }
  return {
    held() {
      asking ??= ask().catch(() => false).finally(() => { asking = undefined })
      return asking
    },
    async close() {
      const current = client
      if (!current) return
      client = undefined
      held = false
      current.removeAllListeners()
      current.on('error', () => {})
      await Promise.race([current.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1_000).unref())])
    },
  }
}
