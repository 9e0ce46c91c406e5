// Signs assertions: ES256 (RFC 7518 section 3.4), once for what is said to one application in one minute, not per request.
import { SignJWT } from 'jose'
import { assertionClaims, ASSERTION_LIFETIME, type AssertionClaims, type KeyRing } from '../core/assertion.js'
import type { SessionRecord } from '../core/session.js'

export interface AssertionSigner {
  /** For the application at this host. */
  assertion(session: SessionRecord, hostname: string): Promise<string>
  /** @param lifetime in seconds */
  sign(session: SessionRecord, audience: string, lifetime: number): Promise<string>
}

export interface AssertionSignerDeps {
  readonly keys: KeyRing
  readonly issuer: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const MOST_KEPT = 5_000

export function createAssertionSigner({ keys, issuer, now = Date.now }: AssertionSignerDeps): AssertionSigner {
  const sign = async (claims: AssertionClaims, lifetime: number): Promise<string> => {
    const { kid, privateKey } = keys.signing()
    const issuedAt = Math.floor(now() / 1000)
    return await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).setIssuedAt(issuedAt).setExpirationTime(issuedAt + lifetime).sign(privateKey)
  }
  // The whole of what is said is the key: a changed right is another assertion at once.
  const kept = new Map<string, Promise<string>>()
  let minute = 0
  return {
    async assertion(session, hostname) {
      const current = Math.floor(now() / 60_000)
      if (current !== minute || kept.size >= MOST_KEPT) kept.clear()
      minute = current
      const claims = assertionClaims(session, issuer, hostname)
      const said = `${keys.signing().kid} ${JSON.stringify(claims)}`
      const known = kept.get(said)
      if (known) return await known
      const signed = sign(claims, ASSERTION_LIFETIME)
      kept.set(said, signed)
      signed.catch(() => kept.delete(said))
      return await signed
    },
    sign: (session, audience, lifetime) => sign(assertionClaims(session, issuer, audience), lifetime),
  }
}
