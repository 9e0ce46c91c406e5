// The claims of a verified assertion as an application reads them (docs/assertion.md).
import { AssertionError } from './assertion-error.js'

/**
 * The person who sent a request. Claims: docs/assertion.md; their source is Microsoft Entra ID and the group mapping.
 *
 * @example
 * ```ts
 * import type { Identity } from 'gatehouse/verify'
 *
 * export function mayEdit({ isSuperuser, permissions }: Identity): boolean {
 *   return isSuperuser || permissions.includes('wiki.edit')
 * }
 * ```
 */
export interface Identity {
  /** The user's ID in Gatehouse: it never changes and is never given to another person. Use it as the key. */
  readonly sub: string
  /** May change, and may later be given to another person. */
  readonly username: string
  /** Absent where Entra ID sends no address. Do not use it to find an account unless `emailVerified` is true. */
  readonly email: string | undefined
  /** Whether Entra ID vouches for the domain of the address. */
  readonly emailVerified: boolean
  /** Display name: free text that people may choose themselves. */
  readonly name: string | undefined
  /** Names of local groups. */
  readonly groups: readonly string[]
  /** Permissions that the local groups carry. */
  readonly permissions: readonly string[]
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  /** Object ID in Microsoft Entra ID, a GUID in lower case. Absent for an account that is not from Entra ID. */
  readonly oid: string | undefined
  /** Tenant ID in Microsoft Entra ID, a GUID in lower case. Absent for an account that is not from Entra ID. */
  readonly tid: string | undefined
  /** Public ID of the session, as in the gateway's log and audit. */
  readonly sid: string
  /** When the assertion expires, in seconds since 1970 (RFC 7519 section 4.1.4). */
  readonly expiresAt: number
}

const STRINGS = ['sub', 'sid', 'username'] as const
const LISTS = ['groups', 'permissions'] as const
const FLAGS = ['is_staff', 'is_superuser', 'email_verified'] as const

/** Claims that every assertion of Gatehouse has, beside those that RFC 7519 registers. */
export const IDENTITY_CLAIMS: readonly string[] = [...STRINGS, ...LISTS, ...FLAGS]

/**
 * @param payload of an assertion whose signature, audience and times have been verified
 * @throws {@link AssertionError} `invalid`, if a claim has the wrong type
 */
export function identityOf(payload: Readonly<Record<string, unknown>>): Identity {
  for (const name of STRINGS) if (typeof payload[name] !== 'string' || payload[name] === '') throw malformed(name)
  for (const name of LISTS) {
    if (!Array.isArray(payload[name]) || !payload[name].every((entry) => typeof entry === 'string')) {
      throw malformed(name)
    }
  }
  for (const name of FLAGS) if (typeof payload[name] !== 'boolean') throw malformed(name)
  const text = (name: string): string | undefined => typeof payload[name] === 'string' ? payload[name] : undefined
  return {
    sub: text('sub') ?? '',
    username: text('username') ?? '',
    email: text('email'),
    emailVerified: payload.email_verified === true,
    name: text('name'),
    groups: payload.groups as string[],
    permissions: payload.permissions as string[],
    isStaff: payload.is_staff === true,
    isSuperuser: payload.is_superuser === true,
    oid: text('oid'),
    tid: text('tid'),
    sid: text('sid') ?? '',
    expiresAt: typeof payload.exp === 'number' ? payload.exp : 0,
  }
}

function malformed(name: string): AssertionError {
  return new AssertionError('invalid', `the claim ${name} of the assertion is missing or has the wrong type`)
}
