// One set of connections of the change feed, from the moment it is opened until it is lost.
import { setTimeout } from 'node:timers/promises'
import type pg from 'pg'
import type { History } from '../../core/history.js'
import type { Replicas } from '../../core/replicas.js'
import type { ChangeNotification } from '../../core/session-cache.js'
import { coalesced } from '../../core/coalesced.js'
import type { CurrentServer } from '../server-of-record/record.js'
import type { ServerOfRecord } from '../server-of-record/server-of-record.js'
import { createFeedConnections } from './connections.js'
import type { LiveReplicas } from './notifier.js'
import { CHANNEL, hasNoNotifications, leaveOutbox } from './outbox.js'
import { createOutboxReader, type OutboxReaderOptions, type Position } from './reader.js'
import { readReplicas, writeHeartbeat } from './replica-rows.js'

export interface FeedLinkEvents {
  readonly onReading: () => void
  /** @param isGap changes before this read may be missing */
  readonly onRead: (position: Position, isGap: boolean) => void
  /** Called once, and never after drop() or close(): the connections cannot be used any more. */
  readonly onLost: (why: string) => void
}

export interface FeedLinkOptions extends FeedLinkEvents {
  readonly server: CurrentServer
  readonly record: Pick<ServerOfRecord, 'heartbeatSent' | 'heartbeatConfirmed' | 'historyInDoubt'>
  readonly history: History
  readonly replicas: Pick<Replicas, 'announcement' | 'receive' | 'expireAndCompare'>
  readonly self: string
  readonly live: LiveReplicas
  readonly timeoutMs: number
  readonly position: Position | undefined
  readonly onChange: (change: ChangeNotification) => void
  readonly onKeys: () => void
  readonly onPolicy?: (() => void) | undefined
  readonly log: OutboxReaderOptions['log']
}

export interface FeedLink {
  read(): void
  /** Writes the next heartbeat, unless one is under way. */
  beat(): void
  /** Whether notifications arrive. */
  listens(): boolean
  drop(): void
  close(): Promise<void>
}

/** How often the outbox is read: by the notifier, by those that it notifies, and where no notification arrives. */
const NOTIFIER_MS = 25
const NOTIFIED_MS = 500
const POLLING_MS = 100
/** How long closing may wait for the row of this replica to be deleted. */
const FAREWELL_MS = 1_000

export function createFeedLink(options: FeedLinkOptions): FeedLink {
  const { self, live } = options
  let hasRead = false
  const state = openConnections(options, () => reader.read())
  const { connections, listens, isOver, failed } = state
  const isNotifier = (): boolean => state.canNotify() && live.isNotifier(listens())
  const reader = createOutboxReader({
    ...options,
    tombstones: options.history.tombstones,
    client: connections.reader,
    isOver,
    isNotifier,
    isSweeper: live.isSweeper,
    pace: () => paceOf(listens(), isNotifier()),
    onRead(position, isGap) {
      options.onRead(position, isGap)
      if (hasRead) return
      hasRead = true
      beat() // from the first heartbeat on, everything is known that was taken away
    },
    onFailed: failed,
  })
  const heartbeat = createHeartbeat({ ...options, client: connections.writer, listens, notifySelf: state.notifySelf })
  const beat = (): void => {
    if (hasRead && !isOver()) heartbeat().catch(failed)
  }
  const opened = connections.open().then(reader.read)
  opened.catch(failed)
  return {
    read() {
      opened.then(reader.read).catch(() => {}) // reported above
    },
    beat,
    listens,
    drop: state.drop,
    async close() {
      state.end()
      if (hasRead) await farewell(connections.writer, self)
      await connections.close()
    },
  }
}

/** The connections, until one of them is lost. @param onNotified there are changes */
function openConnections({ server, self, timeoutMs, onLost }: FeedLinkOptions, onNotified: () => void) {
  let over = false
  let listens = false // guard: live-heartbeat-crosses
  let canNotify = true
  const end = (): void => {
    over = true
  }
  const drop = (): void => {
    end()
    connections.drop()
  }
  const lost = (why: string): void => {
    if (over) return
    drop()
    onLost(why)
  }
  const onNotification = (sender: string): void => {
    listens ||= sender === self
    if (sender !== self) onNotified()
  }
  const connections = createFeedConnections({ server, timeoutMs, onNotification, onLost: lost })
  return {
    connections,
    listens: () => listens,
    canNotify: () => canNotify,
    /** From another connection than the one that listens: only then does it say that notifications arrive. */
    async notifySelf(): Promise<void> {
      if (listens || !canNotify) return
      await connections.writer.query('select pg_notify($1, $2)', [CHANNEL, self]).catch((error: unknown) => {
        if (!hasNoNotifications(error)) throw error
        canNotify = false
      })
    },
    isOver: () => over,
    failed: (error: unknown): void => lost(error instanceof Error ? error.message : String(error)),
    end,
    drop,
  }
}

function paceOf(listens: boolean, isNotifier: boolean): number {
  if (!listens) return POLLING_MS
  return isNotifier ? NOTIFIER_MS : NOTIFIED_MS
}

async function farewell(client: pg.Client, self: string): Promise<void> {
  const left = leaveOutbox(client, self).catch(() => {}) // silence shows it as well
  await Promise.race([left, setTimeout(FAREWELL_MS, undefined, { ref: false })])
}

interface HeartbeatOptions extends FeedLinkOptions {
  readonly client: pg.Client
  readonly listens: () => boolean
  readonly notifySelf: () => Promise<void>
}

/** @returns a function that writes the next heartbeat; a call while one is under way begins no other */
function createHeartbeat(options: HeartbeatOptions): () => Promise<void> {
  const { client, server, record, history, replicas, self, live, listens, notifySelf } = options
  return coalesced(async () => {
    record.heartbeatSent() // guard: record-heartbeat-confirmed
    const count = history.next()
    const written = await writeHeartbeat(client, server, {
      replica: self,
      count,
      confirmed: history.lastConfirmed(),
      listens: listens(),
      ...replicas.announcement(),
    })
    if (!written) return record.historyInDoubt()
    history.confirmed(count)
    record.heartbeatConfirmed()
    for (const row of live.update(await readReplicas(client))) replicas.receive(row.replica, row)
    replicas.expireAndCompare()
    await notifySelf()
  })
}
