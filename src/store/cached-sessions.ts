// The session store with its cache: rows are served from memory while the change feed reports every change.
import type { Meter } from '../core/meter.js'
import type { Replicas } from '../core/replicas.js'
import { activityInterval, type SessionStore, type SessionTimeouts } from '../core/session.js'
import { createSessionCache, invalidateOnWrite, type SessionCache } from '../core/session-cache.js'
import type { Own } from '../lifecycle.js'
import { createChangeListener, type ChangeListener, type ChangeListenerOptions } from './change-feed/listener.js'
import { createSessionStore } from './sessions.js'
import { keysUnreadable, type Storage, type StorageDeps } from './storage.js'

export interface SessionsDeps {
  readonly replicas: Replicas
  readonly own: Own
  readonly log: StorageDeps['log'] & ChangeListenerOptions['log']
  readonly meter: Pick<Meter, 'gauge'>
}

export interface SessionsOptions extends SessionTimeouts {
  /** Number of sessions in memory. */
  readonly cacheSize: number
}

export interface CachedSessions {
  readonly sessions: SessionStore
  readonly cache: SessionCache
  readonly changes: ChangeListener
}

export function openSessions(
  { server, database, keys }: Pick<Storage, 'server' | 'database' | 'keys'>,
  session: SessionsOptions,
  { replicas, own, log, meter }: SessionsDeps,
): CachedSessions {
  const changes = createChangeListener({
    server,
    onChange: (change) => cache.apply(change),
    onGap: (knownUntil) => cache.markAllStale(knownUntil),
    onKeys: () => {
      keys.refresh().catch((error: unknown) => keysUnreadable(log, error))
    },
    replicas,
    log,
  })
  own('change listener', () => changes.close())
  const cache: SessionCache = createSessionCache({
    feed: changes,
    capacity: session.cacheSize, // guard: live-cache-size
    touchAfterMs: activityInterval(session.idleTimeoutMs),
  })
  meter.gauge('cachedSessions', () => cache.size)
  meter.gauge('changeListenerUp', () => changes.connected() ? 1 : 0)
  return { sessions: invalidateOnWrite(createSessionStore(database, session), cache), cache, changes }
}
