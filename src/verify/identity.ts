// The identity in a verified assertion, as applications read it.

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
