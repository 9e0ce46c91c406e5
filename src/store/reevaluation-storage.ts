// What the re-evaluation keeps in PostgreSQL: due users and results, the lock that makes one replica the leader, and
// lookups of local groups.
import type { Own } from '../lifecycle.js'
import { createSignalStore } from './change-signals.js'
import type { Database } from './database.js'
import { createDueUsers } from './due-users.js'
import { createLock } from './leadership.js'
import { createLoginStore } from './login-store.js'
import type { DatabaseServer } from './server-of-record/server-of-record.js'
import { createReevaluationWriter } from './reevaluation-writer.js'
import type { SessionLimits } from './sessions.js'
import { createStalenessExpiry } from './staleness-expiry.js'

export function openReevaluationStorage(
  { server, database }: { readonly server: DatabaseServer, readonly database: Database },
  settings: SessionLimits & { readonly tenantId: string },
  own: Own,
) {
  const leadership = createLock({ server, name: 'gatehouse sync' })
  own('re-evaluation lock', () => leadership.close())
  return {
    dueUsers: createDueUsers(database, settings),
    writer: createReevaluationWriter(database),
    signals: createSignalStore(database, settings),
    expiry: createStalenessExpiry(database, settings),
    leadership,
    lookups: createLoginStore(database, settings),
  }
}
