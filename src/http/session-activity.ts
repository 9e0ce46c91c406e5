// Records which sessions are in use, off the request path: session ids are collected for a moment and written to the
// store in one statement.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { activityInterval, type SessionClient, type SessionStore, type SessionUse } from '../core/session.js'
import type { CachedSession } from '../core/session-cache.js'

type UsedSession = Pick<CachedSession, 'hash' | 'touchDue'>

/** Called where the client is recorded. */
export type ReadClient = () => SessionClient

export interface ActivityRecorder {
  /** A session is recorded at most once in this time (milliseconds), unless the write failed. */
  readonly intervalMs: number
  /** Whether the use is recorded now, with the client (session.recordClient). @param at monotonic milliseconds */
  needsClient(session: UsedSession, at: number): boolean
  /** Records the use of a cached session, unless that was done within the interval. */
  recordIfDue(session: UsedSession, at: number, client?: ReadClient): void
  /** @param hash hex of sessionIdHash */
  record(hash: string, client?: ReadClient): void
  /** Writes what has been collected. */
  close(): Promise<void>
}

export interface ActivityRecorderDeps {
  readonly sessions: Pick<SessionStore, 'touch'>
  readonly idleTimeoutMs: number
  readonly recordClient: boolean
  readonly log: Pick<FastifyBaseLogger, 'error'>
}

const BATCH_DELAY_MS = 100
const CLOSE_TIMEOUT_MS = 2_000
const MAX_BATCH_SIZE = 1_000
/** A use that could not be written is recorded by the next one after this time. */
const RETRY_MS = 10_000

export function createActivityRecorder(
  { sessions, idleTimeoutMs, recordClient, log }: ActivityRecorderDeps,
): ActivityRecorder {
  const intervalMs = activityInterval(idleTimeoutMs)
  const writer = createBatchWriter(sessions, log)
  const use = (hash: string, client: ReadClient | undefined): SessionUse =>
    recordClient && client !== undefined ? { hash, client: client() } : { hash } // guard: live-client-wanted
  return {
    intervalMs,
    needsClient: (session, at) => recordClient && session.touchDue <= at,
    record: (hash, client) => writer.add(use(hash, client)),
    recordIfDue(session, at, client) {
      if (session.touchDue > at) return
      session.touchDue = at + intervalMs
      writer.add(use(session.hash, client), () => {
        session.touchDue = at + Math.min(RETRY_MS, intervalMs) // guard: live-use-written
      })
    },
    close: writer.close,
  }
}

interface Collected {
  readonly use: SessionUse
  readonly onFailure: (() => void) | undefined
}

/** The later one counts; what it does not say stays as it was. */
function together(before: Collected | undefined, { use: { hash, client }, onFailure }: Collected): Collected {
  return { use: { hash, client: client ?? before?.use.client }, onFailure: onFailure ?? before?.onFailure }
}

/** Runs one write at a time: while the database is slow only the number of collected sessions grows. */
function createBatchWriter(sessions: ActivityRecorderDeps['sessions'], log: ActivityRecorderDeps['log']) {
  let collected = new Map<string, Collected>()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let closed = false
  const writeCollected = async (): Promise<void> => {
    const uses = [...collected.values()]
    collected = new Map()
    for (let at = 0; at < uses.length; at += MAX_BATCH_SIZE) {
      const batch = uses.slice(at, at + MAX_BATCH_SIZE)
      await sessions.touch(batch.map(({ use }) => use)).catch((error: unknown) => {
        for (const { onFailure } of uses.slice(at)) onFailure?.()
        throw error
      })
    }
  }
  const write = (): Promise<void> => {
    timer = undefined
    writing ??= writeCollected()
      .catch((error: unknown) => {
        if (!(error instanceof GatehouseError)) log.error({ err: error }, 'session activity could not be written')
      })
      .finally(() => {
        writing = undefined
        if (collected.size > 0 && !closed) schedule()
      })
    return writing
  }
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      void write()
    }, BATCH_DELAY_MS)
  }
  return {
    /** @param onFailure called if the use was not written */
    add(use: SessionUse, onFailure?: () => void): void {
      collected.set(use.hash, together(collected.get(use.hash), { use, onFailure }))
      if (!writing) schedule()
    },
    async close(): Promise<void> {
      closed = true
      clearTimeout(timer)
      const remaining = async (): Promise<void> => {
        await writing
        await write()
      }
      await Promise.race([remaining(), new Promise((resolve) => setTimeout(resolve, CLOSE_TIMEOUT_MS).unref())])
    },
  }
}
