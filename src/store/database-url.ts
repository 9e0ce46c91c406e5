// The database a configuration means: a given one, or the embedded PostgreSQL, started or found running.
import { parseDatabaseUrl } from '../core/database-address.js'
import type { GatehouseError } from '../core/errors.js'
import { startEmbeddedPostgres } from './embedded.js'

export interface DatabaseChoice {
  readonly url: string | undefined
  readonly caFile: string | undefined
  readonly embedded: boolean
  readonly dataDir: string
}

/** @param onEnd told when the embedded server ends by itself */
export async function databaseUrl(
  { url, caFile, embedded, dataDir }: DatabaseChoice,
  onEnd: (failure: GatehouseError) => void = () => {},
): Promise<{ url: string, stop: () => Promise<void> }> {
  if (!embedded && url !== undefined) return { url: withAuthority(url, caFile), stop: async () => {} }
  return await startEmbeddedPostgres(dataDir, { onEnd })
}

/** The authority's certificates as a part of the address; who names them and no mode wants the server verified. */
export function withAuthority(url: string, caFile: string | undefined): string {
  const whole = parseDatabaseUrl(url)
  if (caFile === undefined || whole === undefined) return url
  whole.searchParams.set('sslrootcert', caFile)
  // guard: adv-database-ca-file
  if (!whole.searchParams.has('sslmode')) whole.searchParams.set('sslmode', 'verify-full')
  return whole.href
}
