// The session store with its cache: rows are served from memory while the change feed reports every change.
import { createHistory } from '../core/history.js'
import type { Meter } from '../core/meter.js'
import type { Replicas } from '../core/replicas.js'
import { activityInterval, type SessionStore, type SessionTimeouts } from '../core/session.js'
import { createSessionCache, invalidateOnWrite, type SessionCache } from '../core/session-cache.js'
import type { Own } from '../lifecycle.js'
import { createChangeFeed, type ChangeFeedOptions, type OpenChangeFeed } from './change-feed/feed.js'
import { createReconciler, type LostHistory, type OnLostHistory } from './lost-history/reconcile.js'
import { createSessionStore } from './sessions.js'
import { keysUnreadable, type Storage, type StorageDeps } from './storage.js'

export interface SessionsDeps {
  readonly replicas: Replicas
  /** The id of this replica in the table of replicas. */
  readonly replica: string
  /** A version of the policy was added, or is tried. */
  readonly onPolicy?: () => void
  readonly own: Own
  readonly log: StorageDeps['log'] & ChangeFeedOptions['log']
  readonly meter: Pick<Meter, 'gauge'>
}

export interface CachedSessions {
  readonly sessions: SessionStore
  readonly cache: SessionCache
  readonly changes: OpenChangeFeed
  /** The last time when the database had lost a part of its history; undefined: not since the start. */
  lostHistory(): LostHistory | undefined
}

export interface SessionsConfig {
  readonly session: SessionTimeouts & {
    /** Number of sessions in memory. */
    readonly cacheSize: number
  }
  readonly database: { readonly onLostHistory: OnLostHistory }
  readonly keys: { readonly encryptionSecrets: readonly string[] }
}

function keysRefresher(keys: Storage['keys'], log: StorageDeps['log']): () => void {
  return () => {
    keys.refresh().catch((error: unknown) => keysUnreadable(log, error))
  }
}

export function openSessions(
  { server, database, keys }: Pick<Storage, 'server' | 'database' | 'keys'>,
  { session, database: { onLostHistory }, keys: { encryptionSecrets } }: SessionsConfig,
  { replicas, replica, onPolicy, own, log, meter }: SessionsDeps,
): CachedSessions {
  const history = createHistory()
  const reconciler = createReconciler({ history, replica, onLostHistory, encryptionSecrets, log })
  const refreshKeys = keysRefresher(keys, log)
  server.reconcileWith(async (current, signal) => {
    if (!await reconciler.reconcile(current, signal)) return
    cache.apply({ kind: 'everything' }) // guard: lost-cache
    refreshKeys()
  })
  const changes = createChangeFeed({
    server,
    history,
    replica,
    onChange: (change) => cache.apply(change),
    onGap: () => cache.markAllStale(),
    onKeys: refreshKeys,
    onPolicy,
    replicas,
    log,
  })
  own('change feed', () => changes.close())
  const cache: SessionCache = createSessionCache({
    feed: changes,
    capacity: session.cacheSize, // guard: live-cache-size
    touchAfterMs: activityInterval(session.idleTimeoutMs),
  })
  meter.gauge('cachedSessions', () => cache.size)
  meter.gauge('changeListenerUp', () => changes.connected() ? 1 : 0)
  meter.gauge('lostHistoryTimestamp', () => (reconciler.lastLoss()?.at.getTime() ?? 0) / 1000)
  return {
    sessions: invalidateOnWrite(createSessionStore(database, session), {
      apply(change) {
        cache.apply(change)
        // known before the outbox is read, where the database dies in between
        if (change.kind === 'sessions') {
          history.tombstones.record({ kind: 'session.ended', subjects: change.hashes })
        }
      },
    }),
    cache,
    changes,
    lostHistory: reconciler.lastLoss,
  }
}
