// Signs assertions: a JWS in compact serialization (RFC 7515 section 7.1) with ES256 (RFC 7518 section 3.4). Uses
// Node's synchronous sign() instead of jose: it takes a third of the time and needs no promise in the first check of a
// session. Signed assertions are cached (forward-auth/identity-header-cache.ts).
import { sign as signature } from 'node:crypto'
import { assertionClaims, ASSERTION_LIFETIME, type ClaimPieces, type KeyRing } from '../core/assertion.js'
import type { SessionRecord } from '../core/session.js'

/** A token split within its claims; the parts joined are the token. */
export type TokenPieces = ClaimPieces

export interface AssertionSigner {
  /** Id of the current signing key. Assertions of another key may have been withdrawn. */
  kid(): string
  /** @param hostname the application's host, the audience */
  assertion(session: SessionRecord, hostname: string): TokenPieces
  /** @param lifetime in seconds */
  sign(session: SessionRecord, audience: string, lifetime: number): string
}

export interface AssertionSignerDeps {
  readonly keys: KeyRing
  readonly issuer: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function createAssertionSigner({ keys, issuer, now = Date.now }: AssertionSignerDeps): AssertionSigner {
  let header = { kid: '', encoded: '' }
  const headerOf = (kid: string): string => {
    if (header.kid !== kid) header = { kid, encoded: base64url(JSON.stringify({ alg: 'ES256', kid, typ: 'JWT' })) }
    return header.encoded
  }
  const sign = (session: SessionRecord, audience: string, lifetime: number): TokenPieces => {
    const { kid, privateKey } = keys.signing()
    const iat = Math.floor(now() / 1000)
    const [shared, own] = assertionClaims(session, issuer, audience, { iat, exp: iat + lifetime })
    // The length of the first part of the claims is a multiple of three bytes, so each part can be encoded separately.
    const first = `${headerOf(kid)}.${base64url(shared)}`
    const second = base64url(own)
    return [
      first,
      `${second}.${
        signature('sha256', Buffer.from(first + second, 'latin1'), { key: privateKey, dsaEncoding: 'ieee-p1363' })
          .toString('base64url')
      }`,
    ]
  }
  return {
    kid: () => keys.signing().kid,
    assertion: (session, hostname) => sign(session, hostname, ASSERTION_LIFETIME),
    sign: (session, audience, lifetime) => sign(session, audience, lifetime).join(''),
  }
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
