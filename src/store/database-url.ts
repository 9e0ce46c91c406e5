// The URL of the configured database: a given one, or that of the embedded PostgreSQL, which is started or joined.
import { parseDatabaseUrl } from '../core/database-address.js'
import type { GatehouseError } from '../core/errors.js'
import { startEmbeddedPostgres } from './embedded.js'

export interface DatabaseChoice {
  readonly url: string | undefined
  /** Past a pooler. */
  readonly directUrl?: string | undefined
  readonly caFile: string | undefined
  readonly embedded: boolean
  readonly dataDir: string
}

/** @param onEnd called when the embedded server ends by itself */
export async function databaseUrl(
  { url, directUrl, caFile, embedded, dataDir }: DatabaseChoice,
  onEnd: (failure: GatehouseError) => void = () => {},
): Promise<{ url: string, directUrl?: string, stop: () => Promise<void> }> {
  if (!embedded && url !== undefined) {
    const direct = directUrl === undefined ? {} : { directUrl: withAuthority(directUrl, caFile) }
    return { url: withAuthority(url, caFile), ...direct, stop: async () => {} }
  }
  return await startEmbeddedPostgres(dataDir, { onEnd })
}

/** Adds the CA file to the URL; without an sslmode it implies verify-full. */
export function withAuthority(url: string, caFile: string | undefined): string {
  const parsed = parseDatabaseUrl(url)
  if (caFile === undefined || parsed === undefined) return url
  const parameters = new URLSearchParams({ sslrootcert: caFile })
  // guard: adv-database-ca-file
  if (!parsed.url.searchParams.has('sslmode')) parameters.set('sslmode', 'verify-full')
  return `${url}${parsed.url.search === '' && !url.endsWith('?') ? '?' : '&'}${parameters.toString()}`
}
