// Records which sessions are in use, off the request path: session ids are collected for a moment and written to the
// store in one statement.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { activityInterval, type SessionStore } from '../core/session.js'
import type { CachedSession } from '../core/session-cache.js'

type UsedSession = Pick<CachedSession, 'hash' | 'touchDue'>

export interface ActivityRecorder {
  /** A session is recorded at most once in this time (milliseconds), unless the write failed. */
  readonly intervalMs: number
  /** Records the use of a cached session, unless that was done within the interval. @param at monotonic milliseconds */
  recordIfDue(session: UsedSession, at: number): void
  /** @param hash in the form that SessionStore.touch expects */
  record(hash: string): void
  /** Writes what has been collected. */
  close(): Promise<void>
}

export interface ActivityRecorderDeps {
  readonly sessions: Pick<SessionStore, 'touch'>
  readonly idleTimeoutMs: number
  readonly log: Pick<FastifyBaseLogger, 'error'>
}

const BATCH_DELAY_MS = 100
const CLOSE_TIMEOUT_MS = 2_000
const MAX_BATCH_SIZE = 1_000
/** A use that could not be written is recorded by the next one after this time. */
const RETRY_MS = 10_000

export function createActivityRecorder({ sessions, idleTimeoutMs, log }: ActivityRecorderDeps): ActivityRecorder {
  const intervalMs = activityInterval(idleTimeoutMs)
  const writer = createBatchWriter(sessions, log)
  return {
    intervalMs,
    record: (hash) => writer.add(hash),
    recordIfDue(session, at) {
      if (session.touchDue > at) return
      session.touchDue = at + intervalMs
      writer.add(session.hash, () => {
        session.touchDue = at + Math.min(RETRY_MS, intervalMs) // guard: live-use-written
      })
    },
    close: writer.close,
  }
}

/** Runs one write at a time: while the database is slow only the number of collected sessions grows. */
function createBatchWriter(sessions: ActivityRecorderDeps['sessions'], log: ActivityRecorderDeps['log']) {
  let collected = new Map<string, (() => void) | undefined>()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let closed = false
  const writeCollected = async (): Promise<void> => {
    const uses = [...collected]
    collected = new Map()
    for (let at = 0; at < uses.length; at += MAX_BATCH_SIZE) {
      const batch = uses.slice(at, at + MAX_BATCH_SIZE)
      await sessions.touch(batch.map(([hash]) => hash)).catch((error: unknown) => {
        for (const [, onFailure] of uses.slice(at)) onFailure?.()
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
    add(hash: string, onFailure?: () => void): void {
      collected.set(hash, onFailure ?? collected.get(hash))
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
