// The change feed: LISTEN for the notifications of migrations/0002_change_notices.sql. A heartbeat to itself every
// second proves that no notification is missed; after five seconds without one, cached sessions are stale until the
// connection is restored. Heartbeats also announce which configuration this replica runs (core/replicas.ts).
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Replicas } from '../../core/replicas.js'
import type { ChangeNotification, ChangeFeed } from '../../core/session-cache.js'
import { messageOf } from '../database-failure.js'
import type { CurrentServer } from '../server-of-record/record.js'
import type { ServerOfRecord } from '../server-of-record/server-of-record.js'
import { updateHeartbeat } from './heartbeat-row.js'
import { openChangeConnections, type ChangeConnections } from './connections.js'
import { createHeartbeats, type Heartbeats } from './heartbeats.js'

export interface ChangeListener extends ChangeFeed {
  /** Waits for every notification sent before this call. @returns false where the connection is lost meanwhile */
  caughtUp(): Promise<boolean>
  close(): Promise<void>
}

export interface ChangeListenerOptions {
  readonly server: FeedServer
  readonly onChange: (change: ChangeNotification) => void
  readonly onKeys: () => void
  /** The connection was lost or restored: notifications since `knownUntil` may be missing. */
  readonly onGap: (knownUntil: number) => void
  /** Sent with each heartbeat, and received with those of other replicas. */
  readonly replicas: Pick<Replicas, 'announcement' | 'receive' | 'expireAndCompare'>
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly beatMs?: number
  readonly silenceMs?: number
}

/** Notifications of another server say nothing about the rows of this one: the connection then counts as lost. */
export type FeedServer = Pick<
  ServerOfRecord,
  'elected' | 'suspect' | 'onChange' | 'usable' | 'failingSince' | 'heartbeatSent' | 'heartbeatConfirmed'
>

/** `connecting`: never connected yet; `lost`: logged once, and retried until it succeeds. */
type State = 'connecting' | 'listening' | 'lost'

const RETRY_MS = 500

export function createChangeListener(options: ChangeListenerOptions): ChangeListener {
  const { onChange, onKeys, onGap, server, replicas, beatMs = 1_000, silenceMs = 5_000 } = options
  const self = randomBytes(9).toString('base64url')
  const heartbeats = createHeartbeats()
  let written = 0
  const suspended = detectSuspension(silenceMs)
  const connection = createFeedConnection({
    ...options,
    heartbeats,
    silenceMs,
    nextHeartbeat: () => `b ${self} ${heartbeats.next()} ${replicas.announcement()}`,
    async writeHeartbeat(client, at) {
      server.heartbeatSent() // guard: record-heartbeat-confirmed
      await updateHeartbeat(client, at, self, ++written)
      server.heartbeatConfirmed()
    },
    receive(payload) {
      const [, sender, beat, announcement = ''] = /^b (\S+) (\d+)(?: (.*))?$/.exec(payload) ?? []
      if (sender === self) {
        if (!heartbeats.received(Number(beat))) return
        connection.restored()
        replicas.expireAndCompare()
      } else if (sender !== undefined) replicas.receive(sender, announcement)
      else if (payload === 'k') onKeys()
      else onChange(readNotice(payload))
    },
  })
  const heartbeatTimer = setInterval(() => {
    if (suspended()) onGap(-Infinity) // guard: live-suspended
    connection.checkHeartbeat()
  }, beatMs).unref()
  return {
    connected: (at = performance.now()) =>
      connection.listening() && at - heartbeats.lastReceivedAt() <= silenceMs && // guard: live-silence
      server.usable(at), // guard: record-feed-usable
    // guard: record-grace-begins
    lastReceivedAt: () => Math.min(heartbeats.lastReceivedAt(), server.failingSince() ?? Infinity),
    caughtUp() {
      const received = heartbeats.nextReceived()
      connection.sendHeartbeat()
      return received
    },
    async close() {
      clearInterval(heartbeatTimer)
      await connection.close()
    },
  }
}

interface FeedConnectionOptions extends Pick<ChangeListenerOptions, 'server' | 'onGap' | 'log'> {
  readonly heartbeats: Heartbeats
  readonly silenceMs: number
  readonly nextHeartbeat: () => string
  readonly writeHeartbeat: (client: pg.ClientBase, at: CurrentServer) => Promise<void>
  readonly receive: (payload: string) => void
}

/** Connects, notices that the connection is lost, and connects again. */
function createFeedConnection(options: FeedConnectionOptions) {
  const { onGap, log, heartbeats, silenceMs, server } = options
  let state: State = 'connecting'
  let connections: ChangeConnections | undefined
  let retry: NodeJS.Timeout | undefined
  let closed = false
  const connect = (): void => {
    const at = electedOf(server)
    if ('unusable' in at) lose(at.unusable)
    else connections = openChangeConnections({ ...options, server: at, timeoutMs: silenceMs, onLost: lose })
  }
  function lose(why: string): void {
    if (closed) return
    connections?.drop()
    connections = undefined
    heartbeats.discard()
    if (state === 'listening') onGap(heartbeats.lastReceivedAt())
    if (state !== 'lost') logLost(log, why)
    state = 'lost'
    clearTimeout(retry)
    retry = setTimeout(connect, RETRY_MS).unref()
    server.suspect()
  }
  server.onChange(() => lose('another server is the server of record, or none')) // guard: record-feed-left
  connect()
  return {
    listening: () => state === 'listening',
    sendHeartbeat: () => connections?.beat(),
    restored() {
      // guard: live-missed
      if (state !== 'listening') onGap(-Infinity) // notifications sent before this moment were not received
      if (state === 'lost') logRestored(log)
      state = 'listening'
    },
    checkHeartbeat() {
      if (connections?.since === undefined) return // connecting has its own time limit
      if (silentMs(heartbeats, connections.since) > silenceMs) lose(noHeartbeatFor(silenceMs))
      else connections.beat()
    },
    async close() {
      closed = true
      clearTimeout(retry)
      heartbeats.discard()
      const last = connections
      connections = undefined
      await last?.close()
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

function logLost(log: ChangeListenerOptions['log'], why: string): void {
  log.warn({
    detail: why,
    remedy: 'LISTEN needs a direct connection or a pool in session mode. It is retried until it succeeds.',
  }, 'LISTEN connection lost: session cache bypassed, every check reads the database')
}

function logRestored(log: ChangeListenerOptions['log']): void {
  log.info({}, 'LISTEN connection restored: session cache in use again')
}

/** Milliseconds since the last heartbeat, or since the connection was made where none was received on it. */
function silentMs(heartbeats: Heartbeats, connectedAt: number): number {
  return performance.now() - Math.max(heartbeats.lastReceivedAt(), connectedAt)
}

function noHeartbeatFor(silenceMs: number): string {
  return `no heartbeat was received for ${silenceMs / 1000} seconds`
}

/** Detects that the machine was suspended for longer than this: monotonic clocks and timers stop meanwhile. */
function detectSuspension(longerThanMs: number): () => boolean {
  const ahead = (): number => Date.now() - performance.now()
  let before = ahead()
  return () => {
    const moved = ahead() - before
    before += moved
    return moved > longerThanMs
  }
}

/** An unparsable notification invalidates the whole cache (safe default). */
export function readNotice(payload: string): ChangeNotification {
  const [kind, list = ''] = payload.split(' ', 2)
  const ids = list.split(',')
  if (kind === 's' && ids.every((id) => /^[0-9a-f]{64}$/.test(id))) return { kind: 'sessions', hashes: ids }
  if (kind === 'u' && ids.every((id) => /^[0-9a-f-]{36}$/.test(id))) return { kind: 'users', ids }
  return { kind: 'everything' }
}
