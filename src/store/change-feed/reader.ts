// Reads the outbox over one set of connections, until it is closed. It reads when it is notified, and at a pace that
// depends on whether notifications arrive.
import { concernedBy, type Change } from '../../core/changes.js'
import type { ChangeNotification } from '../../core/session-cache.js'
import { oneAtATime } from '../../core/one-at-a-time.js'
import type { Tombstones } from '../../core/tombstones.js'
import type pg from 'pg'
import { sqlState } from '../database-errors.js'
import { messageOf } from '../database-failure.js'
import type { CurrentServer } from '../server-of-record/record.js'
import { notify, readOutbox, type OutboxRead } from './outbox.js'
import { createSweeper, type Sweeper } from './sweeper.js'

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
  readonly sweeper?: Sweeper
  /** The last position, of this or an earlier set of connections. */
  readonly position: Position | undefined
  readonly tombstones: Pick<Tombstones, 'record' | 'gap'>
  readonly onChange: (change: ChangeNotification) => void
  readonly onKeys: () => void
  readonly onPolicy?: (() => void) | undefined
  readonly onReading: () => void
  /** The outbox was read. @param isGap changes before it are missing */
  readonly onRead: (position: Position, isGap: boolean) => void
  readonly onFailed: (error: unknown) => void
  readonly log: { warn(facts: object, text: string): void }
}

export interface OutboxReader {
  /** One read at a time; a call during a read causes one more after it. */
  readonly read: () => void
}

export function createOutboxReader(options: OutboxReaderOptions): OutboxReader {
  const { client, server, pace, isOver, isSweeper, sweeper = createSweeper({ client }), onFailed, log } = options
  const notifier = createNotifier(options)
  const notifying = createTolerance(log, 'other replicas cannot be notified of changes')
  const sweeping = createTolerance(log, 'the outbox cannot be swept: the table changes grows')
  let { position } = options
  let timer: NodeJS.Timeout | undefined
  const readOnce = async (): Promise<void> => {
    options.onReading()
    const [at, clock] = [performance.now(), Date.now()]
    const since = position?.key === server.key ? position?.snapshot : undefined
    const { snapshot, changes, isGap } = await readOutbox(client, server, since)
    if (isOver()) return
    if (isGap) options.tombstones.gap()
    // cached sessions are stale, and may be used while the database is down
    apply(isGap ? AFTER_A_GAP : changes, options)
    position = { key: server.key, snapshot, at, clock }
    options.onRead(position, isGap)
    await notifying(notifier.notifyOf(changes))
    if (isSweeper()) await sweeping(sweeper.sweep(snapshot))
  }
  const round = oneAtATime(async () => {
    if (isOver()) return
    clearTimeout(timer)
    await readOnce().catch(onFailed)
    timer = setTimeout(read, pace()).unref()
  })
  const read = (): void => {
    void round()
  }
  return { read }
}

/** Everything is read again at most once, whatever the number of changes that concern everything. */
function apply(
  changes: OutboxRead['changes'],
  options: Pick<OutboxReaderOptions, 'tombstones' | 'onChange' | 'onKeys' | 'onPolicy'>,
): void {
  const { tombstones, onChange, onKeys, onPolicy } = options
  if (changes === undefined) tombstones.gap()
  for (const change of changes ?? []) tombstones.record(change)
  const concerned = (changes ?? EVERYTHING).map(concernedBy)
  if (concerned.some(({ kind }) => kind === 'keys')) onKeys()
  if (concerned.some(({ kind }) => kind === 'policy')) onPolicy?.()
  const everything = concerned.find((each) => each.kind === 'everything')
  if (everything !== undefined) return onChange(everything) // guard: outbox-everything-once
  for (const each of concerned) if (each.kind !== 'keys' && each.kind !== 'policy') onChange(each)
}

const AFTER_A_GAP: readonly Change[] = ['keys.changed', 'policy.changed'].map((kind) => ({ kind, subjects: [] }))
const EVERYTHING: readonly Change[] = [{ kind: 'everything', subjects: [] }, ...AFTER_A_GAP]

/** Release 0.2 may have missed changes while there was no notifier: each one begins with everything. */
function createNotifier({ client, self, isNotifier }: Pick<OutboxReaderOptions, 'client' | 'self' | 'isNotifier'>) {
  let isOne = false
  return {
    async notifyOf(changes: OutboxRead['changes']): Promise<void> {
      const was = isOne
      isOne = false // until the notification has succeeded
      if (!isNotifier()) return
      if (!was || changes?.length !== 0) {
        await notify(client, self, was ? changes : undefined) // guard: outbox-new-notifier
      }
      isOne = true
    },
  }
}

/**
 * Everything was read before: where the server refuses what follows, the feed goes on. It is logged once until it
 * succeeds. @throws where the connection is lost
 */
function createTolerance(log: OutboxReaderOptions['log'], text: string) {
  let isRefused = false
  return async (work: Promise<void>): Promise<void> => {
    try {
      await work
      isRefused = false
    } catch (error) {
      if (CONNECTION_LOST.test(sqlState(error) ?? '08')) throw error // guard: outbox-refused
      if (!isRefused) log.warn({ detail: `PostgreSQL: ${messageOf(error)}`, remedy: REFUSED_REMEDY }, text)
      isRefused = true
    }
  }
}

/** Of the classes connection exception and operator intervention (PostgreSQL, appendix A). */
const CONNECTION_LOST = /^(08|57P)/
const REFUSED_REMEDY = 'See what PostgreSQL says about it, for example a missing privilege. It is tried again.'
