// The database as `check` and `doctor` see it, before they ask what is in it.
import type { DatabaseState } from './checks/database.js'
import type { Config } from './config/config.js'
import { isLoopback } from './net/loopback.js'
import { isSocket } from './core/database-address.js'
import { hasCluster } from './store/embedded-cluster.js'
import { readMigrationState } from './store/migrate.js'
import { addressOf } from './store/postgres-client.js'
import { readOnlyFailure } from './store/database-failure.js'
import { rightsFailure } from './store/postgres-server-state.js'
import type { DatabaseServer } from './store/server-of-record/server-of-record.js'

/** The embedded database is made by the first start; a look makes none. */
export function isNotCreatedYet({ embedded, dataDir }: Config['database']): boolean {
  return embedded && !hasCluster(dataDir)
}

/** @throws `database_unavailable` */
export async function inspectDatabase(
  server: DatabaseServer,
  hosts: DatabaseState['hosts'] = [],
): Promise<DatabaseState> {
  const { url } = server.current()
  const look = await readMigrationState(url)
  const { host } = addressOf(url)
  return {
    ...look,
    hosts,
    local: isSocket(host) || isLoopback(host),
    readOnly: look.readOnly ? readOnlyFailure(url) : undefined,
    noRights: rightsFailure(look, url),
  }
}
