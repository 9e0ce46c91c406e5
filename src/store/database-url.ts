// The database a configuration means: a given one, or the embedded PostgreSQL, started or found running.
import { startEmbeddedPostgres } from './embedded.js'

export interface DatabaseChoice { readonly url: string | undefined, readonly embedded: boolean, readonly dataDir: string }

export async function databaseUrl({ url, embedded, dataDir }: DatabaseChoice): Promise<{ url: string, stop: () => Promise<void> }> {
  if (!embedded && url !== undefined) return { url, stop: async () => {} }
  return await startEmbeddedPostgres(dataDir)
}
