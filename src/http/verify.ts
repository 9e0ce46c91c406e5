// The forward-auth question without any proxy's dialect: who is this, and may they? The dialects say where the target
// is written and how to say no.
import type { AccessPolicy, Grounds } from '../core/access.js'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { headerDefinitions, identityHeaders, type HeaderDefinition, type HeaderPair, type IdentityHeaderSettings } from '../core/identity-headers.js'
import type { SessionRecord } from '../core/session.js'
import type { Target } from '../core/target.js'
import type { AssertionSigner } from './assertion-signer.js'
import type { SessionReader } from './session-reader.js'

export type Verdict =
  | { readonly kind: 'allowed', readonly headers: readonly HeaderPair[], readonly grounds: Grounds, readonly session: SessionRecord | undefined }
  | { readonly kind: 'not_signed_in', readonly code: ErrorCode, readonly grounds: Grounds }
  | { readonly kind: 'not_allowed', readonly session: SessionRecord, readonly grounds: Grounds }

export interface Question {
  /** Undefined: the proxy did not say, or is not trusted to. */
  readonly target: Target | undefined
  /** The client's address, as the trusted proxies say. */
  readonly address: string | undefined
  readonly cookieHeader: string | undefined
}

export interface Verifier {
  /** @throws `target_missing`, `database_unavailable`, `identity_too_large` */
  verify(question: Question): Promise<Verdict>
}

export interface AccessInForce {
  readonly policy: AccessPolicy
  readonly headers: CompiledHeaders
}

export interface CompiledHeaders {
  readonly definitions: readonly HeaderDefinition[]
  readonly withAssertion: boolean
  readonly maxBytes: number
}

export function compileHeaders(settings: IdentityHeaderSettings): CompiledHeaders {
  return { definitions: headerDefinitions(settings), withAssertion: settings.families.includes('assertion'), maxBytes: settings.maxBytes }
}

export interface VerifierDeps {
  readonly reader: SessionReader
  readonly signer: AssertionSigner
  /** Compiled once for each configuration. */
  readonly inForce: () => AccessInForce
}

export function createVerifier({ reader, signer, inForce }: VerifierDeps): Verifier {
  return {
    async verify({ target, address, cookieHeader }) {
      const { policy, headers } = inForce()
      if (target === undefined && !policy.ignoresTarget) throw new GatehouseError('target_missing', { detail: 'there are access rules, and what was asked for is not said', remedy: 'The proxy must send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method (server.authRequestHeaders), from an address in server.trustedProxies.' })
      const answer = await reader.read(cookieHeader)
      const decision = policy.decide(target && { target, address }, answer.session)
      const { grounds } = decision
      if (decision.allow) return { kind: 'allowed', grounds, session: answer.session, headers: await identity(answer.session, target, headers, signer) }
      return answer.session ? { kind: 'not_allowed', grounds, session: answer.session } : { kind: 'not_signed_in', grounds, code: answer.reason }
    },
  }
}

/** The assertion is empty for nobody, and where nobody can say whom it is for. */
async function identity(session: SessionRecord | undefined, target: Target | undefined, { definitions, withAssertion, maxBytes }: CompiledHeaders, signer: AssertionSigner): Promise<readonly HeaderPair[]> {
  const assertion = !withAssertion ? undefined : session && target ? await signer.assertion(session, target.hostname) : ''
  return identityHeaders(session, definitions, assertion, maxBytes)
}
