// Warm sessions go on for `session.outageGrace` while the database is unreachable, so that a restart of PostgreSQL does
// not lock everybody out. Staff and superusers get none of it: a revoked administrator must not profit from an outage.
import { GatehouseError } from '../core/errors.js'
import { sessionIdHash, type SessionRecord, type SessionStore } from '../core/session.js'

export interface OutageGraceOptions {
  readonly graceMs: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
  readonly capacity?: number
}

interface Remembered { readonly record: SessionRecord, readonly readAt: number }

const DEFAULT_CAPACITY = 100_000

export function withOutageGrace(store: SessionStore, { graceMs, now = () => performance.now(), capacity = DEFAULT_CAPACITY }: OutageGraceOptions): SessionStore {
  const warm = new Map<string, Remembered>()
  const remember = (key: string, record: SessionRecord): void => {
    warm.delete(key)
    warm.set(key, { record, readAt: now() })
    if (warm.size > capacity) warm.delete(warm.keys().next().value ?? '') // the one read longest ago
  }
  const fromMemory = (key: string): SessionRecord | undefined => {
    const entry = warm.get(key)
    if (!entry || entry.record.isStaff || entry.record.isSuperuser) return undefined
    // The age of what is remembered counts, not the length of the outage: what was read longer ago may have been ended since.
    return now() - entry.readAt < Math.min(graceMs, entry.record.expiresInMs) ? entry.record : undefined
  }
  return {
    async find(id) {
      const key = sessionIdHash(id).toString('base64')
      try {
        const record = await store.find(id)
        if (record) remember(key, record)
        else warm.delete(key)
        return record
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.code !== 'database_unavailable') throw error
        const record = fromMemory(key)
        if (!record) throw error
        return record
      }
    },
    touch: (id) => store.touch(id),
    async end(id, correlationId) {
      warm.delete(sessionIdHash(id).toString('base64'))
      await store.end(id, correlationId)
    },
    async endByEntraSid(sid, correlationId) {
      const ended = await store.endByEntraSid(sid, correlationId)
      for (const hash of ended) warm.delete(hash.toString('base64'))
      return ended
    },
  }
}
