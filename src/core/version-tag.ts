// Versions of objects that administrators edit: a hash of what an edit must have seen. It is the ETag of the API and a
// hidden field of forms, and is computed again in the transaction of the act.
import { createHash } from 'node:crypto'
import { GatehouseError } from './errors.js'

/** @param representation what an edit can change, without what changes by itself @returns a strong entity tag */
export function versionTag(representation: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(representation)).digest('base64url').slice(0, 22)}"`
}

/** One strong entity tag: `*` and weak ones say nothing about what was seen. */
export function isVersionTag(text: string): boolean {
  return /^"[\w-]{22}"$/.test(text)
}

/**
 * Call with the object locked.
 * @param seen undefined: the act compares no version, as for commands
 * @throws GatehouseError `version_stale`
 */
export function requireVersion(seen: string | undefined, representation: unknown): void {
  if (seen === undefined || seen === versionTag(representation)) return // guard: act-version-compared
  throw new GatehouseError('version_stale', { detail: 'the object is not what the administrator has seen' })
}
