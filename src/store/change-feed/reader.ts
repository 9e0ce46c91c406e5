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
  /** Monotonic milliseconds, and milliseconds that go on while the machine is suspended. */
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
  /** The last position, of this or an earlier set of connections. */
  readonly position: Position | undefined
  readonly tombstones: Pick<Tombstones, 'record' | 'gap'>
  readonly onChange: (change: ChangeNotification) => void
  readonly onKeys: () => void
  readonly onReading: () => void
  /** The outbox was read. @param isGap changes before it may be missing */
  readonly onRead: (position: Position, isGap: boolean) => void
  readonly onFailed: (error: unknown) => void
}

export interface OutboxReader {
  /** One read at a time; a call during a read causes one more after it. */
  readonly read: () => void
}

/** The notifier deletes what is older; a reader that was away for longer has missed changes. */
const SWEPT_AFTER_MS = 60_000
const RESUMABLE_MS = 50_000
const SWEEP_EVERY_MS = 30_000

export function createOutboxReader(options: OutboxReaderOptions): OutboxReader {
  const { client, server, self, pace, isOver, isNotifier, onRead, onFailed } = options
  const sweeper = createSweeper(client)
  let { position } = options
  let timer: NodeJS.Timeout | undefined
  const readOnce = async (): Promise<void> => {
    options.onReading()
    const [at, clock] = [performance.now(), Date.now()]
    const isGap = !isResumable(position, server, at, clock) // guard: outbox-gap
    const { snapshot, changes } = await readOutbox(client, server, isGap ? undefined : position?.snapshot)
    if (isOver()) return
    apply(changes, options)
    position = { key: server.key, snapshot, at, clock }
    if (isGap) options.tombstones.gap()
    onRead(position, isGap)
    if (!isNotifier()) return
    if (changes === undefined || changes.length > 0) await notify(client, self, changes)
    await sweeper.sweep(snapshot)
  }
  const read = oneAtATime(async () => {
    if (isOver()) return
    clearTimeout(timer)
    await readOnce().catch(onFailed)
    timer = setTimeout(read, pace()).unref()
  })
  return { read }
}

function isResumable(
  position: Position | undefined,
  { key }: CurrentServer,
  at: number,
  clock: number,
): position is Position {
  return position !== undefined && position.key === key && at - position.at < RESUMABLE_MS &&
    clock - position.clock < RESUMABLE_MS // guard: live-suspended
}

function apply(
  changes: OutboxRead['changes'],
  { tombstones, onChange, onKeys }: Pick<OutboxReaderOptions, 'tombstones' | 'onChange' | 'onKeys'>,
): void {
  if (changes === undefined) tombstones.gap()
  for (const change of changes ?? TOO_MANY) {
    tombstones.record(change)
    const concerned = concernedBy(change)
    if (concerned.kind === 'keys') onKeys()
    else onChange(concerned)
  }
}

const TOO_MANY: readonly Change[] = [{ kind: 'everything', subjects: [] }, { kind: 'keys.changed', subjects: [] }]

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
