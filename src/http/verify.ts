// The forward-auth question without any proxy's dialect: who is this, and may they? The dialects say where the target
// is written and how to say no.
import { decide, type AccessPolicy } from '../core/access.js'
import type { ErrorCode } from '../core/errors.js'
import { identityHeaders, type HeaderPair, type IdentityHeaderSettings } from '../core/identity-headers.js'
import type { SessionRecord } from '../core/session.js'
import type { SessionReader } from './session-reader.js'

export type Verdict =
  | { readonly kind: 'allowed', readonly headers: readonly HeaderPair[] }
  | { readonly kind: 'not_signed_in', readonly code: ErrorCode }
  | { readonly kind: 'not_allowed', readonly session: SessionRecord }

export interface Verifier {
  /** @throws `database_unavailable`, `identity_too_large` */
  verify(cookieHeader: string | undefined): Promise<Verdict>
}

export interface VerifierDeps {
  readonly reader: SessionReader
  readonly policy: () => AccessPolicy
  readonly headers: () => IdentityHeaderSettings
}

export function createVerifier({ reader, policy, headers }: VerifierDeps): Verifier {
  return {
    async verify(cookieHeader) {
      const answer = await reader.read(cookieHeader)
      const decision = decide(answer.session, policy())
      if (decision.allow) return { kind: 'allowed', headers: identityHeaders(answer.session, headers()) }
      return answer.session ? { kind: 'not_allowed', session: answer.session } : { kind: 'not_signed_in', code: answer.reason }
    },
  }
}
