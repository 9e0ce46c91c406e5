// `gatehouse migrate`: brings the database to this version and prints which migrations were applied.
import { databaseUrl } from '../store/database-url.js'
import { tryEngine } from '../store/engine.js'
import { chooseServer } from '../store/server-of-record/server-of-record.js'
import { migrate as applyMigrations } from '../store/migrate.js'
import { EXIT, print, printJson, readConfig, type CommonOptions } from './context.js'

export async function migrate(options: CommonOptions): Promise<number> {
  const { stop, ...address } = await databaseUrl(readConfig(options).config.database)
  try {
    const server = (await chooseServer(address)).current()
    await tryEngine(server.url)
    const applied = await applyMigrations(server.url)
    if (options.json) printJson({ applied })
    else print(applied.length === 0 ? 'The database is up to date.' : `Applied: ${applied.join(', ')}`)
    return EXIT.ok
  } finally {
    await stop()
  }
}
