// Signs assertions: ES256 (RFC 7518 section 3.4). What was signed is used again by whoever asked (prepared-headers.ts).
import { CompactSign } from 'jose'
import { assertionClaims, ASSERTION_LIFETIME, type ClaimPieces, type KeyRing } from '../core/assertion.js'
import type { SessionRecord } from '../core/session.js'

/** A token cut where its claims are; joined, they are the token. */
export type TokenPieces = ClaimPieces

export interface AssertionSigner {
  /** Of the key that signs now: what another one signed may be withdrawn. */
  kid(): string
  /** For the application at this host. */
  assertion(session: SessionRecord, hostname: string): Promise<TokenPieces>
  /** @param lifetime in seconds */
  sign(session: SessionRecord, audience: string, lifetime: number): Promise<string>
}

export interface AssertionSignerDeps {
  readonly keys: KeyRing
  readonly issuer: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function createAssertionSigner({ keys, issuer, now = Date.now }: AssertionSignerDeps): AssertionSigner {
  const sign = async (session: SessionRecord, audience: string, lifetime: number): Promise<TokenPieces> => {
    const { kid, privateKey } = keys.signing()
    const iat = Math.floor(now() / 1000)
    const claims = assertionClaims(session, issuer, audience, { iat, exp: iat + lifetime })
    const token = await new CompactSign(Buffer.from(claims.join(''))).setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).sign(privateKey)
    return cut(token, claims)
  }
  return {
    kid: () => keys.signing().kid,
    assertion: (session, hostname) => sign(session, hostname, ASSERTION_LIFETIME),
    sign: async (session, audience, lifetime) => (await sign(session, audience, lifetime)).join(''),
  }
}

function cut(token: string, [shared]: ClaimPieces): TokenPieces {
  const end = token.indexOf('.') + 1 + Buffer.byteLength(shared) / 3 * 4
  return [token.slice(0, end), token.slice(end)]
}
