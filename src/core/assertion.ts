// The claims of the assertion about a user: X-Gatehouse-Assertion for one application, or the identity cookie for a
// domain. src/http/assertion-signer.ts signs them.
import type { KeyObject } from 'node:crypto'
import type { SessionRecord } from './session.js'

/** The claims of an assertion as JSON in two pieces: those that many users share, and those of one user. */
export type ClaimPieces = readonly [shared: string, own: string]

/**
 * The claims (RFC 7519); unknown values are left out. The first piece is padded with blanks to a multiple of three
 * bytes: its base64url is then a prefix of the whole, and is cached once for all users who share it.
 * @param issuer publicUrl @param audience host name of the application, or the domain of the cookie
 * @param times in seconds since 1970
 */
export function assertionClaims(
  session: SessionRecord,
  issuer: string,
  audience: string,
  times: { readonly iat: number, readonly exp: number },
): ClaimPieces {
  const { oid, tid, email, name } = session
  const shared = {
    iss: issuer,
    aud: audience,
    ...(tid === null ? {} : { tid }),
    groups: session.groups,
    permissions: session.permissions,
    is_staff: session.isStaff,
    is_superuser: session.isSuperuser,
  }
  const own = {
    sub: session.userId,
    sid: session.publicId,
    ...(oid === null ? {} : { oid }),
    username: session.username,
    ...(email === null ? {} : { email }),
    email_verified: session.emailVerified,
    ...(name === null ? {} : { name }),
    ...times,
  }
  const first = `{${members(shared)},`
  return [first + ' '.repeat((3 - Buffer.byteLength(first) % 3) % 3), `${members(own)}}`]
}

function members(claims: object): string {
  return JSON.stringify(claims).slice(1, -1)
}

export interface AssertionKey {
  readonly kid: string
  readonly privateKey: KeyObject
}

/** A public key as in a JWKS (RFC 7517). */
export interface PublicJwk {
  readonly kty: string
  readonly crv: string
  readonly x: string
  readonly y: string
  readonly kid: string
  readonly use: 'sig'
  readonly alg: 'ES256'
}

/** The keys of assertions, as this process last read them. */
export interface KeyRing {
  /** The active key. */
  signing(): AssertionKey
  /** The active key, retired keys whose assertions may still be valid, and the next key. */
  published(): readonly PublicJwk[]
}

/** Seconds. */
export const ASSERTION_LIFETIME = 300
export const IDENTITY_COOKIE_LIFETIME = 600
/** How long applications may cache the public keys: a new key is published well before it signs. */
export const JWKS_MAX_AGE = 300
