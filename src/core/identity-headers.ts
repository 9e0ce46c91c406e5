// The headers by which an application knows the person. All of them on every 200, so that a proxy which copies them
// always overwrites what a client forged; a list is never silently cut.
import { GatehouseError } from './errors.js'
import type { SessionRecord } from './session.js'

export type HeaderFamily = 'x-auth-request' | 'remote'

export interface IdentityHeaderSettings {
  readonly families: readonly HeaderFamily[]
  /** Names and values together; more is refused. */
  readonly maxBytes: number
}

export type HeaderPair = readonly [name: string, value: string]

/** Every identity header Gatehouse may send, whatever is configured: what proxies strip. */
export const IDENTITY_HEADERS: Readonly<Record<HeaderFamily, readonly string[]>> = {
  'x-auth-request': ['X-Auth-Request-User', 'X-Auth-Request-Email', 'X-Auth-Request-Preferred-Username', 'X-Auth-Request-Groups', 'X-Auth-Request-Staff', 'X-Auth-Request-Superuser'],
  remote: ['Remote-User', 'Remote-Email', 'Remote-Name', 'Remote-Groups'],
}

/**
 * Name and value of each header for this person; empty or `false` for nobody.
 * @throws `identity_too_large`
 */
export function identityHeaders(session: SessionRecord | undefined, { families, maxBytes }: IdentityHeaderSettings): readonly HeaderPair[] {
  const username = encodeHeaderValue(session?.username ?? '')
  const email = encodeHeaderValue(session?.email ?? '')
  const groups = (session?.groups ?? []).map(encodeHeaderValue).join(',')
  const values: Readonly<Record<HeaderFamily, readonly string[]>> = {
    'x-auth-request': [username, email, username, groups, String(session?.isStaff ?? false), String(session?.isSuperuser ?? false)],
    remote: [username, email, encodeHeaderValue(session?.name ?? ''), groups],
  }
  const pairs = families.flatMap((family) => IDENTITY_HEADERS[family].map((name, index): HeaderPair => [name, values[family][index] ?? '']))
  const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
  if (bytes > maxBytes) throw new GatehouseError('identity_too_large', { detail: `the identity headers take ${bytes} bytes, headers.maxBytes allows ${maxBytes}`, facts: { username: session?.username, groups: session?.groups.length }, remedy: 'Map fewer groups, send fewer header families, or raise headers.maxBytes together with the proxy\'s buffers.' })
  return pairs
}

/** Bytes outside 0x20-0x7E, and `%`, as UTF-8 percent-encoding (RFC 3986 section 2.1). */
export function encodeHeaderValue(value: string): string {
  return value.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) => [...Buffer.from(part, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''))
}
