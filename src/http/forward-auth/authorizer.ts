// Authorizes a forward-auth request, independent of the proxy's dialect: the dialects define which headers name the
// target and how to refuse. Everything that is in memory is answered synchronously, without a promise.
import type { AccessPolicy, Grounds } from '../../core/access.js'
import { GatehouseError, type ErrorCode } from '../../core/errors.js'
import type { SessionRecord } from '../../core/session.js'
import type { Target } from '../../core/target.js'
import type { CompiledHeaders, FlatHeaders, IdentityHeaderCache } from './identity-header-cache.js'
import type { SessionAnswer } from './session-lookup.js'
import type { SessionReader } from './session-resolver.js'

export type Verdict =
  | {
    readonly kind: 'allowed'
    readonly headers: FlatHeaders
    readonly grounds: Grounds
    readonly session: SessionRecord | undefined
  }
  | {
    readonly kind: 'not_signed_in'
    readonly code: ErrorCode
    /** Undefined: no rule of the host could allow the request, so the rules were not evaluated. */
    readonly grounds: Grounds | undefined
  }
  | {
    readonly kind: 'not_allowed'
    readonly session: SessionRecord
    readonly grounds: Grounds
    /** The user may open the application's front page, and the request was for another page. */
    readonly frontPage: boolean
  }

export type FastPathVerdict =
  | { readonly kind: 'allowed', readonly headers: FlatHeaders, readonly signedIn: boolean }
  | { readonly kind: 'not_signed_in' }

export interface Question {
  /** Undefined: the proxy sent no target, or is not trusted. */
  readonly target: Target | undefined
  /** The client's address, as reported by the trusted proxies. */
  readonly address: () => string | undefined
  readonly cookieHeader: string | undefined
}

export interface Verifier {
  /** @throws `target_missing`, `database_unavailable`, `identity_too_large`; also as a rejection */
  verify(question: Question): Verdict | Promise<Verdict>
  /** The same from memory alone; undefined: call verify(). */
  verifyCached(target: Target | undefined, cookieHeader: string | undefined): FastPathVerdict | undefined
}

export interface AccessInForce {
  readonly policy: AccessPolicy
  readonly headers: CompiledHeaders
}

export interface VerifierDeps {
  readonly reader: SessionReader
  readonly headers: IdentityHeaderCache
  /** Compiled once for each configuration. */
  readonly inForce: () => AccessInForce
  /** Called when access.default decided for a signed-in user at a host that no rule names. */
  readonly onUnnamedHost: (hostname: string, byDefault: Grounds) => void
}

export function createVerifier({ reader, headers, inForce, onUnnamedHost }: VerifierDeps): Verifier {
  const authorize = (
    { target, address }: Question,
    answer: SessionAnswer,
    { policy, headers: compiled }: AccessInForce,
  ): Verdict => {
    const { session } = answer
    const cannotBeAllowed = session === undefined && target !== undefined && !policy.mayLetAnyoneIn(target.hostname)
    if (cannotBeAllowed) return { kind: 'not_signed_in', grounds: undefined, code: answer.reason }
    const decision = policy.decide(target === undefined ? undefined : { target, address }, session)
    const { grounds } = decision
    if (grounds.hostUnnamed) onUnnamedHost(target?.hostname ?? '', grounds)
    if (!decision.allow) {
      if (session === undefined) return { kind: 'not_signed_in', grounds, code: answer.reason }
      const frontPage = target !== undefined && opensFrontPage(target, address, session, policy)
      return { kind: 'not_allowed', grounds, session, frontPage }
    }
    return {
      kind: 'allowed',
      grounds,
      session,
      headers: headers.get(session, session === undefined ? undefined : answer.cached, target?.hostname, compiled),
    }
  }
  const targetMissing = (): GatehouseError =>
    new GatehouseError('target_missing', {
      detail: 'there are access rules, but the request does not name its target',
      remedy:
        'The proxy must send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method ' +
        '(server.authRequestHeaders), from an address in server.trustedProxies.',
    })
  return {
    verify(question) {
      const rules = inForce()
      if (question.target === undefined && !rules.policy.ignoresTarget) throw targetMissing()
      const answer = reader.read(question.cookieHeader)
      return answer instanceof Promise
        ? answer.then((read) => authorize(question, read, rules))
        : authorize(question, answer, rules)
    },
    verifyCached(target, cookieHeader) {
      const { policy, headers: compiled } = inForce()
      const known = reader.readCached(cookieHeader)
      if (known === undefined || (target === undefined && !policy.ignoresTarget)) return undefined
      if (known === 'anonymous' && (target === undefined || !policy.mayLetAnyoneIn(target.hostname))) {
        return NOT_SIGNED_IN
      }
      let needsAddress = false
      const address = (): undefined => {
        needsAddress = true
      } // the address is unknown here: decide() then takes the least permission for rules with networks
      const { allow, grounds } = policy.decide(
        target === undefined ? undefined : { target, address },
        known === 'anonymous' ? undefined : known.record,
      )
      if (known === 'anonymous') {
        return allow
          ? { kind: 'allowed', headers: headers.anonymous(compiled), signedIn: false }
          : needsAddress
          ? undefined
          : NOT_SIGNED_IN
      }
      const ready = allow ? headers.getCached(known, target?.hostname, compiled) : undefined
      if (ready && grounds.hostUnnamed) onUnnamedHost(target?.hostname ?? '', grounds)
      return ready && { kind: 'allowed', headers: ready, signedIn: true }
    },
  }
}

const NOT_SIGNED_IN: FastPathVerdict = { kind: 'not_signed_in' }

/** Whether a refused user may open the front page of the same application instead. */
function opensFrontPage(
  target: Target,
  address: Question['address'],
  session: SessionRecord,
  policy: AccessPolicy,
): boolean {
  if (target.path === '/') return false
  return policy.decide({ target: { ...target, path: '/', uri: '/', method: 'GET' }, address }, session).allow
}
