// The change feed: what the outbox (outbox.ts) lists, received by every replica. A read proves that every change that
// was committed before it is known; after five seconds without one, cached sessions are stale until the next, which
// continues where the last one ended. Each second a heartbeat is written to this replica's row, which also shows the
// others which configuration it runs.
import type { History } from '../../core/history.js'
import type { Replicas } from '../../core/replicas.js'
import type { ChangeFeed, ChangeNotification } from '../../core/session-cache.js'
import { messageOf } from '../database-failure.js'
import type { CurrentServer } from '../server-of-record/record.js'
import type { ServerOfRecord } from '../server-of-record/server-of-record.js'
import { createFeedLink, type FeedLink, type FeedLinkEvents } from './link.js'
import { createLiveReplicas } from './notifier.js'
import type { Position } from './reader.js'

export interface OpenChangeFeed extends ChangeFeed {
  /** Waits until everything is received that was committed before. @returns false where the connection is lost */
  caughtUp(): Promise<boolean>
  /** Whether notifications arrive; otherwise the outbox is polled. */
  listens(): boolean
  close(): Promise<void>
}

export interface ChangeFeedOptions {
  readonly server: FeedServer
  readonly history: History
  /** The name of this replica in the table `replicas`. */
  readonly replica: string
  readonly onChange: (change: ChangeNotification) => void
  readonly onKeys: () => void
  /** A version of the policy was added, or is tried. */
  readonly onPolicy?: (() => void) | undefined
  /** Changes may be missing: the connection was lost for too long, or to another server. */
  readonly onGap: () => void
  /** Written with each heartbeat, and read with those of other replicas. */
  readonly replicas: Pick<Replicas, 'announcement' | 'receive' | 'expireAndCompare'>
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly beatMs?: number
  readonly silenceMs?: number
}

/** Changes of another server say nothing about the rows of this one: the connection then counts as lost. */
export type FeedServer = Pick<
  ServerOfRecord,
  | 'elected'
  | 'suspect'
  | 'onChange'
  | 'usable'
  | 'failingSince'
  | 'heartbeatSent'
  | 'heartbeatConfirmed'
  | 'historyInDoubt'
>

/** `connecting`: never connected yet; `lost`: logged once, and retried until it succeeds. */
type State = 'connecting' | 'connected' | 'lost'

const RETRY_MS = 500

export function createChangeFeed(options: ChangeFeedOptions): OpenChangeFeed {
  const { server, beatMs = 1_000, silenceMs = 5_000 } = options
  const reads = createReads()
  const connection = createConnection({ ...options, silenceMs, reads })
  const heartbeatTimer = setInterval(connection.beat, beatMs).unref()
  return {
    connected: (at = performance.now()) =>
      connection.connected() && at - reads.lastAt() <= silenceMs && // guard: live-silence
      Date.now() - reads.lastClock() <= silenceMs && // guard: live-suspended
      server.usable(at), // guard: record-feed-usable
    // guard: record-grace-begins
    lastReceivedAt: () => Math.min(reads.lastAt(), server.failingSince() ?? Infinity),
    listens: connection.listens,
    caughtUp() {
      const caughtUp = reads.next()
      connection.read()
      return caughtUp
    },
    async close() {
      clearInterval(heartbeatTimer)
      await connection.close()
    },
  }
}

interface ConnectionOptions extends ChangeFeedOptions {
  readonly silenceMs: number
  readonly reads: Reads
}

/** Connects, notices that the connection is lost, and connects again. */
function createConnection(options: ConnectionOptions) {
  const { silenceMs: timeoutMs, server, replica: self, reads } = options
  const live = createLiveReplicas(self)
  const state = createState(options)
  let link: FeedLink | undefined
  let position: Position | undefined
  let retry: NodeJS.Timeout | undefined
  let closed = false
  const events: FeedLinkEvents = {
    onReading: reads.began,
    onRead(read, isGap) {
      position = read
      reads.done(read)
      state.read(isGap)
    },
    onLost: lose,
  }
  const connect = (): void => {
    const at = electedOf(server)
    if ('unusable' in at) return lose(at.unusable)
    link = createFeedLink({ ...options, ...events, server: at, record: server, self, live, timeoutMs, position })
  }
  function lose(why: string): void {
    if (closed) return
    link?.drop()
    link = undefined
    reads.discard()
    state.lost(why)
    clearTimeout(retry)
    retry = setTimeout(connect, RETRY_MS).unref()
    server.suspect()
  }
  server.onChange(() => lose('another server is the server of record, or none')) // guard: record-feed-left
  connect()
  return {
    connected: state.connected,
    listens: () => link?.listens() === true,
    read: () => link?.read(),
    beat: () => link?.beat(),
    async close() {
      closed = true
      state.closed()
      clearTimeout(retry)
      reads.discard()
      const last = link
      link = undefined
      await last?.close()
    },
  }
}

/** What each change of state means for the cache and the log. */
function createState({ onGap, log }: ConnectionOptions) {
  let state: State = 'connecting'
  return {
    connected: () => state === 'connected',
    read(isGap: boolean): void {
      if (isGap) onGap() // guard: live-missed
      if (state === 'lost') logRestored(log)
      state = 'connected'
    },
    closed(): void {
      state = 'lost'
    },
    lost(why: string): void {
      if (state !== 'lost') logLost(log, why)
      state = 'lost'
    },
  }
}

function electedOf(server: FeedServer): CurrentServer | { readonly unusable: string } {
  try {
    return server.elected()
  } catch (error) {
    return { unusable: messageOf(error) }
  }
}

function logLost(log: ChangeFeedOptions['log'], why: string): void {
  log.warn({
    detail: why,
    remedy: 'See what PostgreSQL says about it. It is retried until it succeeds.',
  }, 'change feed lost: session cache bypassed, every check reads the database')
}

function logRestored(log: ChangeFeedOptions['log']): void {
  log.info({}, 'change feed restored: session cache in use again')
}

interface Reads {
  began(): void
  /** The read that began last has ended. */
  done(position: Position): void
  /** Waits for a read that begins later. @returns false where the connection is lost first */
  next(): Promise<boolean>
  /** When the last successful read began, by the monotonic clock, and by one that goes on during a suspension. */
  lastAt(): number
  lastClock(): number
  /** The connection was lost. */
  discard(): void
}

function createReads(): Reads {
  let waiting: { readonly read: number, readonly done: (read: boolean) => void }[] = []
  let begun = 0
  let [lastAt, lastClock] = [-Infinity, -Infinity]
  return {
    began() {
      begun++
    },
    done({ at, clock }) {
      lastAt = at
      lastClock = clock
      for (const each of waiting) if (each.read <= begun) each.done(true)
      waiting = waiting.filter((each) => each.read > begun)
    },
    next: () =>
      new Promise((done) => {
        waiting.push({ read: begun + 1, done })
      }),
    lastAt: () => lastAt,
    lastClock: () => lastClock,
    discard() {
      for (const { done } of waiting.splice(0)) done(false)
    },
  }
}
