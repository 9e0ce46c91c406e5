// The signed statement of who a person is and what they may: X-Gatehouse-Assertion for one application, or the identity
// cookie for a domain. What it says is decided here; how it is signed is not (http/assertion-signer.ts).
import type { KeyObject } from 'node:crypto'
import type { SessionRecord } from './session.js'

/** The claims without `iat` and `exp` (RFC 7519); what is not known is left out. */
export interface AssertionClaims {
  readonly iss: string
  readonly aud: string
  readonly sub: string
  readonly sid: string
  readonly oid?: string
  readonly tid?: string
  readonly username: string
  readonly email?: string
  readonly email_verified: boolean
  readonly name?: string
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  readonly is_staff: boolean
  readonly is_superuser: boolean
}

/** @param issuer publicUrl @param audience host name of the application, or the domain of the cookie */
export function assertionClaims(session: SessionRecord, issuer: string, audience: string): AssertionClaims {
  const { oid, tid, email, name } = session
  return {
    iss: issuer,
    aud: audience,
    sub: session.userId,
    sid: session.publicId,
    ...(oid === null ? {} : { oid }),
    ...(tid === null ? {} : { tid }),
    username: session.username,
    ...(email === null ? {} : { email }),
    email_verified: session.emailVerified,
    ...(name === null ? {} : { name }),
    groups: session.groups,
    permissions: session.permissions,
    is_staff: session.isStaff,
    is_superuser: session.isSuperuser,
  }
}

export interface AssertionKey { readonly kid: string, readonly privateKey: KeyObject }

/** Public half of a key as JWKS has it (RFC 7517). */
export interface PublicJwk { readonly kty: string, readonly crv: string, readonly x: string, readonly y: string, readonly kid: string, readonly use: 'sig', readonly alg: 'ES256' }

/** The keys of the assertions, as this process last read them. */
export interface KeyRing {
  /** The one that signs now. */
  signing(): AssertionKey
  /** All that may still be met, and the one that signs next. */
  published(): readonly PublicJwk[]
}

/** Seconds. */
export const ASSERTION_LIFETIME = 300
export const IDENTITY_COOKIE_LIFETIME = 600
/** How long applications may keep the public keys: a new key is published well before it signs. */
export const JWKS_MAX_AGE = 300
