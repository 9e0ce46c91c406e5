// The headers that identify the user to an application. All of them on every 200, so that a proxy which copies them
// always overwrites what a client forged; a list is never silently cut.
import { GatehouseError } from './errors.js'
import type { SessionRecord } from './session.js'

export type HeaderFamily = 'x-auth-request' | 'remote' | 'assertion'

/** The part of a session that headers contain. */
export type HeaderSource = Pick<
  SessionRecord,
  | 'userId'
  | 'username'
  | 'email'
  | 'emailVerified'
  | 'name'
  | 'givenName'
  | 'familyName'
  | 'groups'
  | 'permissions'
  | 'isStaff'
  | 'isSuperuser'
  | 'oid'
  | 'tid'
>

/** The properties of a user that a header may contain. */
export const HEADER_VALUES = {
  username: ({ username }) => username,
  email: ({ email }) => email ?? '',
  email_verified: ({ emailVerified }) => emailVerified,
  name: ({ name }) => name ?? '',
  given_name: ({ givenName }) => givenName ?? '',
  family_name: ({ familyName }) => familyName ?? '',
  groups: ({ groups }) => groups,
  permissions: ({ permissions }) => permissions,
  staff: ({ isStaff }) => isStaff, // guard: staff-header
  superuser: ({ isSuperuser }) => isSuperuser,
  oid: ({ oid }) => oid ?? '',
  tid: ({ tid }) => tid ?? '',
  sub: ({ userId }) => userId,
} as const satisfies Record<string, (session: HeaderSource) => string | boolean | readonly string[]>

export type HeaderValue = keyof typeof HEADER_VALUES

/** How characters outside printable ASCII are written: see encodeHeaderValue. */
export const HEADER_ENCODINGS = ['percent', 'latin1'] as const
export type HeaderEncoding = typeof HEADER_ENCODINGS[number]

export interface HeaderDefinition {
  readonly name: string
  readonly value: HeaderValue
  readonly separator: string
  /** Default: `percent`. */
  readonly encoding?: HeaderEncoding
}

export interface IdentityHeaderSettings {
  readonly families: readonly HeaderFamily[]
  readonly extra: readonly HeaderDefinition[]
  /** Names and values together; more is refused. */
  readonly maxBytes: number
}

export type HeaderPair = readonly [name: string, value: string]

const header = (name: string, value: HeaderValue): HeaderDefinition => ({ name, value, separator: ',' })

const FAMILIES: Readonly<Record<Exclude<HeaderFamily, 'assertion'>, readonly HeaderDefinition[]>> = {
  'x-auth-request': [
    header('X-Auth-Request-User', 'username'),
    header('X-Auth-Request-Email', 'email'),
    header('X-Auth-Request-Email-Verified', 'email_verified'), // guard: adv-email-verified-header
    header('X-Auth-Request-Preferred-Username', 'username'),
    header('X-Auth-Request-Groups', 'groups'),
    header('X-Auth-Request-Staff', 'staff'),
    header('X-Auth-Request-Superuser', 'superuser'),
  ],
  remote: [
    header('Remote-User', 'username'),
    header('Remote-Email', 'email'),
    header('Remote-Name', 'name'),
    header('Remote-Groups', 'groups'),
  ],
}

export const ASSERTION_HEADER = 'X-Gatehouse-Assertion'

/** Every identity header that Gatehouse may send by default: proxies remove these from requests. */
export const IDENTITY_HEADERS: readonly string[] = [...FAMILIES['x-auth-request'], ...FAMILIES.remote].map(({ name }) =>
  name
).concat(ASSERTION_HEADER)

/** The headers that these settings enable, for all users. */
export function headerDefinitions({ families, extra }: IdentityHeaderSettings): readonly HeaderDefinition[] {
  return [...families.flatMap((family) => family === 'assertion' ? [] : FAMILIES[family]), ...extra]
}

/**
 * Name and value of each header for this person; empty or `false` for anonymous requests.
 * @param definitions as headerDefinitions makes them, once
 * @throws `identity_too_large`
 */
export function identityHeaders(
  session: HeaderSource | undefined,
  definitions: readonly HeaderDefinition[],
  assertion: string | undefined,
  maxBytes: number,
): readonly HeaderPair[] {
  const pairs = definitions.map((definition): HeaderPair => {
    const { name, value } = definition
    if (session === undefined) return [name, BLANK_HEADERS[value] ?? '']
    return [name, written(HEADER_VALUES[value](session), definition)]
  })
  if (assertion !== undefined) pairs.push([ASSERTION_HEADER, assertion])
  const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0)
  if (bytes > maxBytes) {
    throw new GatehouseError('identity_too_large', {
      detail: `the identity headers take ${bytes} bytes, headers.maxBytes allows ${maxBytes}`,
      facts: { username: session?.username, groups: session?.groups.length },
      remedy:
        "Map fewer groups, send fewer header families, or raise headers.maxBytes together with the proxy's buffers.",
    })
  }
  return pairs
}

const BLANK_HEADERS: Readonly<Partial<Record<HeaderValue, string>>> = {
  email_verified: 'false',
  staff: 'false',
  superuser: 'false',
}

function written(
  value: string | boolean | readonly string[],
  { separator, encoding = 'percent' }: HeaderDefinition,
): string {
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return encodeHeaderValue(value, encoding)
  return value.map((entry) => encodeEntry(entry, separator, encoding)).join(separator)
}

/** A separator inside an entry is encoded, so that one group name cannot be parsed as two. */
function encodeEntry(entry: string, separator: string, encoding: HeaderEncoding): string {
  return encodeHeaderValue(entry, encoding).replaceAll(separator, () => percentEncoded(separator))
}

/**
 * Bytes outside 0x20-0x7E, and `%`, as UTF-8 percent-encoding (RFC 3986 section 2.1). `latin1`: the printable
 * characters of ISO 8859-1 stay, and node:http writes each as one byte, as WSGI and CGI applications read them. `%` is
 * encoded in both, so that no name can be written like another one.
 */
export function encodeHeaderValue(value: string, encoding: HeaderEncoding = 'percent'): string {
  // guard: adv-header-latin1
  const others = encoding === 'latin1' ? /[^\x20-\x24\x26-\x7e\xa1-\xac\xae-\xff]+/g : /[^\x20-\x24\x26-\x7e]+/g
  return value.replace(others, percentEncoded)
}

function percentEncoded(text: string): string {
  return [...Buffer.from(text, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}
