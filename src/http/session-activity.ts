// Tells the store, behind the answers, which sessions are in use: gathered for a moment and written in one statement.
import type { FastifyBaseLogger } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import type { SessionStore } from '../core/session.js'
import type { CachedSession } from '../core/session-cache.js'

export interface Toucher {
  /** A session need not be told of again for so long (milliseconds). */
  readonly everyMs: number
  /** A session in memory is used: told of where that is due. @param at monotonic milliseconds */
  inUse(session: Pick<CachedSession, 'hash' | 'touchDue'>, at: number): void
  /** @param hash as SessionStore.touch has it */
  touch(hash: string): void
  /** Writes what is left. */
  close(): Promise<void>
}

export interface ToucherDeps {
  readonly sessions: Pick<SessionStore, 'touch'>
  readonly idleTimeoutMs: number
  readonly log: Pick<FastifyBaseLogger, 'error'>
}

const GATHER_MS = 100
const PATIENCE_MS = 2_000
const MOST_AT_ONCE = 1_000

/**
 * At most every five minutes, and never later than a twentieth of the idle timeout: who works behind the proxy is not
 * idle.
 */
export function touchInterval(idleTimeoutMs: number): number {
  return Math.min(300_000, idleTimeoutMs / 20)
}

export function createToucher({ sessions, idleTimeoutMs, log }: ToucherDeps): Toucher {
  let gathered = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let closed = false
  const writeAll = async (): Promise<void> => {
    const hashes = [...gathered]
    gathered = new Set()
    for (let at = 0; at < hashes.length; at += MOST_AT_ONCE) await sessions.touch(hashes.slice(at, at + MOST_AT_ONCE))
  }
  /** One at a time: where the database is slow nothing but the set grows. */
  const write = (): Promise<void> => {
    timer = undefined
    writing ??= writeAll()
      .catch((error: unknown) => {
        if (!(error instanceof GatehouseError)) log.error({ err: error }, 'sessions in use could not be noted')
      })
      .finally(() => {
        writing = undefined
        if (gathered.size > 0 && !closed) {
          timer ??= setTimeout(() => {
            void write()
          }, GATHER_MS)
        }
      })
    return writing
  }
  const touch = (hash: string): void => {
    gathered.add(hash)
    if (!writing) {
      timer ??= setTimeout(() => {
        void write()
      }, GATHER_MS)
    }
  }
  const everyMs = touchInterval(idleTimeoutMs)
  return {
    everyMs,
    touch,
    inUse(session, at) {
      if (session.touchDue > at) return
      session.touchDue = at + everyMs
      touch(session.hash)
    },
    async close() {
      closed = true
      clearTimeout(timer)
      const rest = async (): Promise<void> => {
        await writing
        await write()
      }
      await Promise.race([rest(), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref())])
    },
  }
}
