// Reads the outbox over one set of connections, until it is closed. It reads when it is notified, and at a pace that
// depends on whether notifications arrive.
import { concernedBy, type Change } from '../../core/changes.js'
import type { ChangeNotification } from '../../core/session-cache.js'
import type { Tombstones } from '../../core/tombstones.js'
import type pg from 'pg'
import type { CurrentServer } from '../server-of-record/record.js'
import { notify, readOutbox, sweepOutbox, type OutboxRead } from './outbox.js'

/** Where in the history of which server the last read ended. */
export interface Position {
  readonly key: string | undefined
  readonly snapshot: string
  /** When the read began: monotonic milliseconds, and milliseconds that go on while the machine is suspended. */
  readonly at: number
  readonly clock: number
}

export interface OutboxReaderOptions {
  readonly client: pg.Client
  readonly server: CurrentServer
  readonly self: string
  /** Milliseconds until the next read, if no notification arrives before. */
  readonly pace: () => number
  /** The connections are closed: nothing is read any more. */
  readonly isOver: () => boolean
  readonly isNotifier: () => boolean
  readonly isSweeper: () => boolean
  /** The last position, of this or an earlier set of connections. */
  readonly position: Position | undefined
  readonly tombstones: Pick<Tombstones, 'record' | 'gap'>
  readonly onChange: (change: ChangeNotification) => void
  readonly onKeys: () => void
  readonly onReading: () => void
  /** The outbox was read. @param isGap changes before it are missing */
  readonly onRead: (position: Position, isGap: boolean) => void
  readonly onFailed: (error: unknown) => void
}

export interface OutboxReader {
  /** One read at a time; a call during a read causes one more after it. */
  readonly read: () => void
}

/** A reader that is slower than this has missed changes, and finds out (outbox.ts). */
const SWEPT_AFTER_MS = 60_000
const SWEEP_EVERY_MS = 30_000

export function createOutboxReader(options: OutboxReaderOptions): OutboxReader {
  const { client, server, pace, isOver, isSweeper, onRead, onFailed } = options
  const sweeper = createSweeper(client)
  const notifier = createNotifier(options)
  let { position } = options
  let timer: NodeJS.Timeout | undefined
  const readOnce = async (): Promise<void> => {
    options.onReading()
    const [at, clock] = [performance.now(), Date.now()]
    const since = position?.key === server.key ? position?.snapshot : undefined
    const { snapshot, changes, isGap } = await readOutbox(client, server, since)
    if (isOver()) return
    if (isGap) options.tombstones.gap()
    apply(isGap ? KEYS : changes, options) // cached sessions are stale, and may be used while the database is down
    position = { key: server.key, snapshot, at, clock }
    onRead(position, isGap)
    await notifier.notifyOf(changes)
    if (isSweeper()) await sweeper.sweep(snapshot)
  }
  const read = oneAtATime(async () => {
    if (isOver()) return
    clearTimeout(timer)
    await readOnce().catch(onFailed)
    timer = setTimeout(read, pace()).unref()
  })
  return { read }
}

/** Everything is read again at most once, whatever the number of changes that concern everything. */
function apply(
  changes: OutboxRead['changes'],
  { tombstones, onChange, onKeys }: Pick<OutboxReaderOptions, 'tombstones' | 'onChange' | 'onKeys'>,
): void {
  if (changes === undefined) tombstones.gap()
  for (const change of changes ?? []) tombstones.record(change)
  const concerned = (changes ?? EVERYTHING).map(concernedBy)
  if (concerned.some(({ kind }) => kind === 'keys')) onKeys()
  const everything = concerned.find((each) => each.kind === 'everything')
  if (everything !== undefined) return onChange(everything)
  for (const each of concerned) if (each.kind !== 'keys') onChange(each)
}

const KEYS: readonly Change[] = [{ kind: 'keys.changed', subjects: [] }]
const EVERYTHING: readonly Change[] = [{ kind: 'everything', subjects: [] }, { kind: 'keys.changed', subjects: [] }]

/** Release 0.2 may have missed changes while there was no notifier: each one begins with everything. */
function createNotifier({ client, self, isNotifier }: Pick<OutboxReaderOptions, 'client' | 'self' | 'isNotifier'>) {
  let isOne = false
  return {
    async notifyOf(changes: OutboxRead['changes']): Promise<void> {
      const was = isOne
      isOne = isNotifier()
      const begins = isOne && !was
      if (!isOne || (!begins && changes?.length === 0)) return
      await notify(client, self, begins ? undefined : changes) // guard: outbox-new-notifier
    },
  }
}

/** Deletes changes a while after they were visible to every replica. */
function createSweeper(client: pg.Client) {
  const snapshots: { readonly snapshot: string, readonly at: number }[] = []
  return {
    async sweep(snapshot: string): Promise<void> {
      const at = performance.now()
      if (at - (snapshots.at(-1)?.at ?? -Infinity) < SWEEP_EVERY_MS) return
      snapshots.push({ snapshot, at })
      const old = snapshots.findLastIndex((each) => at - each.at >= SWEPT_AFTER_MS)
      if (old === -1) return
      await sweepOutbox(client, snapshots[old]?.snapshot ?? snapshot)
      snapshots.splice(0, old)
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
