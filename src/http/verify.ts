// The forward-auth question without any proxy's dialect: who is this, and may they? The dialects say where the target
// is written and how to say no. Everything that is known is answered at once, without a promise.
import type { AccessPolicy, Grounds } from '../core/access.js'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { headerDefinitions, identityHeaders, type HeaderDefinition, type HeaderPair, type IdentityHeaderSettings } from '../core/identity-headers.js'
import type { SessionRecord } from '../core/session.js'
import type { CachedSession } from '../core/session-cache.js'
import type { Target } from '../core/target.js'
import type { Assertion, AssertionSigner } from './assertion-signer.js'
import type { SessionAnswer, SessionReader } from './session-reader.js'

/** All headers of a 200, names and values in turn, as node:http writes them. */
export type FlatHeaders = readonly string[]

export type Verdict =
  | { readonly kind: 'allowed', readonly headers: FlatHeaders, readonly grounds: Grounds, readonly session: SessionRecord | undefined }
  | { readonly kind: 'not_signed_in', readonly code: ErrorCode, readonly grounds: Grounds }
  | { readonly kind: 'not_allowed', readonly session: SessionRecord, readonly grounds: Grounds }

export interface Question {
  /** Undefined: the proxy did not say, or is not trusted to. */
  readonly target: Target | undefined
  /** The client's address, as the trusted proxies say. */
  readonly address: () => string | undefined
  readonly cookieHeader: string | undefined
}

export interface Verifier {
  /** @throws `target_missing`, `database_unavailable`, `identity_too_large`; also as a rejection */
  verify(question: Question): Verdict | Promise<Verdict>
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
  /** Milliseconds since 1970, as the signer's. */
  readonly now?: () => number
}

/** The headers of a 200, kept with the session they were made of. */
interface Prepared { readonly compiled: CompiledHeaders, readonly hostname: string | undefined, readonly until: number, readonly headers: FlatHeaders }

export function createVerifier({ reader, signer, inForce, now = Date.now }: VerifierDeps): Verifier {
  const judge = (question: Question, answer: SessionAnswer, { policy, headers }: AccessInForce): Verdict | Promise<Verdict> => {
    const { session } = answer
    const decision = policy.decide(question.target === undefined ? undefined : question as Question & { target: Target }, session)
    const { grounds } = decision
    if (!decision.allow) return session === undefined ? { kind: 'not_signed_in', grounds, code: answer.reason } : { kind: 'not_allowed', grounds, session }
    const made = identity(session, session === undefined ? undefined : answer.cached, question.target?.hostname, headers)
    return made instanceof Promise ? made.then((flat) => ({ kind: 'allowed', grounds, session, headers: flat })) : { kind: 'allowed', grounds, session, headers: made }
  }
  /** The assertion is empty for nobody, and where nobody can say whom it is for. */
  const identity = (session: SessionRecord | undefined, cached: CachedSession | undefined, hostname: string | undefined, compiled: CompiledHeaders): FlatHeaders | Promise<FlatHeaders> => {
    const known = cached?.prepared as Prepared | undefined
    if (known !== undefined && known.compiled === compiled && known.hostname === hostname && known.until > now()) return known.headers
    const write = ({ token, until }: Assertion): FlatHeaders => {
      const flat = flatHeaders(identityHeaders(session, compiled.definitions, compiled.withAssertion ? token : undefined, compiled.maxBytes))
      if (cached) cached.prepared = { compiled, hostname, until, headers: flat } satisfies Prepared
      return flat
    }
    if (!compiled.withAssertion || session === undefined || hostname === undefined) return write(NO_ASSERTION)
    const assertion = signer.assertion(session, hostname)
    return assertion instanceof Promise ? assertion.then(write) : write(assertion)
  }
  return {
    verify(question) {
      const rules = inForce()
      if (question.target === undefined && !rules.policy.ignoresTarget) throw new GatehouseError('target_missing', { detail: 'there are access rules, and what was asked for is not said', remedy: 'The proxy must send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method (server.authRequestHeaders), from an address in server.trustedProxies.' })
      const answer = reader.read(question.cookieHeader)
      return answer instanceof Promise ? answer.then((read) => judge(question, read, rules)) : judge(question, answer, rules)
    },
  }
}

/** Each value once, however many headers say it, and as one flat string: node:http writes ropes at several times the cost. */
function flatHeaders(pairs: readonly HeaderPair[]): FlatHeaders {
  const own = new Map<string, string>()
  const flat = [...ALLOWED]
  for (const [name, value] of pairs) {
    const kept = own.get(value) ?? Buffer.from(value, 'latin1').toString('latin1')
    own.set(value, kept)
    flat.push(name, kept)
  }
  return flat
}

/** What every 200 bears besides. */
const ALLOWED = ['Cache-Control', 'no-store', 'Vary', 'Cookie', 'Content-Length', '0']
const NO_ASSERTION: Assertion = { token: '', until: Infinity }
