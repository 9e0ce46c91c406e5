// The forward-auth question without any proxy's dialect: who is this, and may they? The dialects say where the target
// is written and how to say no. Everything that is known is answered at once, without a promise.
import type { AccessPolicy, Grounds } from '../core/access.js'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import type { SessionRecord } from '../core/session.js'
import type { Target } from '../core/target.js'
import type { CompiledHeaders, FlatHeaders, PreparedHeaders } from './prepared-headers.js'
import type { SessionAnswer } from './session-question.js'
import type { SessionReader } from './session-reader.js'

export type Verdict =
  | {
    readonly kind: 'allowed'
    readonly headers: FlatHeaders
    readonly grounds: Grounds
    readonly session: SessionRecord | undefined
  }
  | {
    readonly kind: 'not_signed_in'
    readonly code: ErrorCode /** Undefined: no rule could let them in, so none was looked for. */
    readonly grounds: Grounds | undefined
  }
  | {
    readonly kind: 'not_allowed'
    readonly session: SessionRecord
    readonly grounds: Grounds /** The application's front page is open to them, and another one. */
    readonly frontPage: boolean
  }

export type VerdictAtOnce =
  | { readonly kind: 'allowed', readonly headers: FlatHeaders, readonly signedIn: boolean }
  | { readonly kind: 'not_signed_in' }

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
  /** The same where nothing but memory is needed for it; undefined: ask verify(). */
  atOnce(target: Target | undefined, cookieHeader: string | undefined): VerdictAtOnce | undefined
}

export interface AccessInForce {
  readonly policy: AccessPolicy
  readonly headers: CompiledHeaders
}

export interface VerifierDeps {
  readonly reader: SessionReader
  readonly headers: PreparedHeaders
  /** Compiled once for each configuration. */
  readonly inForce: () => AccessInForce
  /** Somebody who is signed in was judged by access.default at a host that no rule names. */
  readonly onUnnamedHost: (hostname: string, byDefault: Grounds) => void
}

export function createVerifier({ reader, headers, inForce, onUnnamedHost }: VerifierDeps): Verifier {
  const judge = (
    { target, address }: Question,
    answer: SessionAnswer,
    { policy, headers: compiled }: AccessInForce,
  ): Verdict => {
    const { session } = answer
    const hopeless = session === undefined && target !== undefined && !policy.mayLetAnyoneIn(target.hostname)
    if (hopeless) return { kind: 'not_signed_in', grounds: undefined, code: answer.reason }
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
      headers: headers.of(session, session === undefined ? undefined : answer.cached, target?.hostname, compiled),
    }
  }
  const missing = (): GatehouseError =>
    new GatehouseError('target_missing', {
      detail: 'there are access rules, and what was asked for is not said',
      remedy:
        'The proxy must send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method ' +
        '(server.authRequestHeaders), from an address in server.trustedProxies.',
    })
  return {
    verify(question) {
      const rules = inForce()
      if (question.target === undefined && !rules.policy.ignoresTarget) throw missing()
      const answer = reader.read(question.cookieHeader)
      return answer instanceof Promise
        ? answer.then((read) => judge(question, read, rules))
        : judge(question, answer, rules)
    },
    atOnce(target, cookieHeader) {
      const { policy, headers: compiled } = inForce()
      const known = reader.atOnce(cookieHeader)
      if (known === undefined || (target === undefined && !policy.ignoresTarget)) return undefined
      if (known === 'nobody' && (target === undefined || !policy.mayLetAnyoneIn(target.hostname))) return NOT_SIGNED_IN
      let depends = false
      const address = (): undefined => {
        depends = true
      } // not known here: whatever a rule about networks may say, the least permission counts
      const { allow, grounds } = policy.decide(
        target === undefined ? undefined : { target, address },
        known === 'nobody' ? undefined : known.record,
      )
      if (known === 'nobody') {
        return allow
          ? { kind: 'allowed', headers: headers.nobody(compiled), signedIn: false }
          : depends
          ? undefined
          : NOT_SIGNED_IN
      }
      const ready = allow ? headers.ready(known, target?.hostname, compiled) : undefined
      if (ready && grounds.hostUnnamed) onUnnamedHost(target?.hostname ?? '', grounds)
      return ready && { kind: 'allowed', headers: ready, signedIn: true }
    },
  }
}

const NOT_SIGNED_IN: VerdictAtOnce = { kind: 'not_signed_in' }

/** Somewhere to go for a person who was refused: the front page of the same application. */
function opensFrontPage(
  target: Target,
  address: Question['address'],
  session: SessionRecord,
  policy: AccessPolicy,
): boolean {
  if (target.path === '/') return false
  return policy.decide({ target: { ...target, path: '/', uri: '/', method: 'GET' }, address }, session).allow
}
