// Signs assertions: ES256 (RFC 7518 section 3.4), once for what is said to one application in one minute, not per request.
import { SignJWT } from 'jose'
import { assertionClaims, ASSERTION_LIFETIME, type AssertionClaims, type KeyRing } from '../core/assertion.js'
import type { SessionRecord } from '../core/session.js'

export interface AssertionSigner {
  /** For the application at this host; at once where it was made within the last minute. */
  assertion(session: SessionRecord, hostname: string): Assertion | Promise<Assertion>
  /** @param lifetime in seconds */
  sign(session: SessionRecord, audience: string, lifetime: number): Promise<string>
}

export interface Assertion {
  readonly token: string
  /** Until when it is used again; the clock of AssertionSignerDeps.now. */
  readonly until: number
}

export interface AssertionSignerDeps {
  readonly keys: KeyRing
  readonly issuer: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const REUSED_MS = 60_000
const MOST_KEPT = 20_000

export function createAssertionSigner({ keys, issuer, now = Date.now }: AssertionSignerDeps): AssertionSigner {
  const sign = async (claims: AssertionClaims, lifetime: number): Promise<string> => {
    const { kid, privateKey } = keys.signing()
    const issuedAt = Math.floor(now() / 1000)
    return await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' }).setIssuedAt(issuedAt).setExpirationTime(issuedAt + lifetime).sign(privateKey)
  }
  // By the record itself, which is another one as soon as anything in it changes.
  let kept = new WeakMap<SessionRecord, Map<string, Kept>>()
  let size = 0
  return {
    assertion(session, hostname) {
      const { kid } = keys.signing()
      const known = kept.get(session)?.get(hostname)
      if (known !== undefined && known.kid === kid && known.until > now()) return known.made
      if (size++ >= MOST_KEPT) {
        kept = new WeakMap()
        size = 0
      }
      const until = now() + REUSED_MS
      const entry: Kept = { kid, until, made: sign(assertionClaims(session, issuer, hostname), ASSERTION_LIFETIME).then((token) => (entry.made = { token, until })) }
      const ofSession = kept.get(session) ?? new Map<string, Kept>()
      if (ofSession.size >= HOSTS_OF_ONE) ofSession.clear()
      kept.set(session, ofSession.set(hostname, entry))
      if (entry.made instanceof Promise) entry.made.catch(() => ofSession.delete(hostname))
      return entry.made
    },
    sign: (session, audience, lifetime) => sign(assertionClaims(session, issuer, audience), lifetime),
  }
}

const HOSTS_OF_ONE = 16
interface Kept { readonly kid: string, readonly until: number, made: Assertion | Promise<Assertion> }
