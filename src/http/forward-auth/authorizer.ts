// Authorizes a forward-auth request, independent of the proxy's dialect: the dialects define which headers name the
// target and how to refuse. The two drivers of core/authorization.ts: `authorize` obtains what the decision needs,
// `authorizeCached` decides from memory alone. What is in memory is answered synchronously, without a promise.
import type { AccessPolicy, Grounds } from '../../core/access.js'
import { decide, type Authorization, type KnownSession, type Undecided } from '../../core/authorization.js'
import { GatehouseError, type ErrorCode } from '../../core/errors.js'
import type { SessionRecord } from '../../core/session.js'
import type { CachedSession } from '../../core/session-cache.js'
import type { Target } from '../../core/target.js'
import type { ReadClient } from '../session-activity.js'
import type { ShadowRules } from '../../core/shadow-rules.js'
import type { CompiledHeaders, FlatHeaders } from './header-template.js'
import type { IdentityHeaderCache } from './identity-header-cache.js'
import type { NoSessionReason, SessionAnswer } from './session-lookup.js'
import type { SessionResolver } from './session-resolver.js'

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
  | {
    readonly kind: 'allowed'
    readonly headers: FlatHeaders
    /** Undefined: anonymous. */
    readonly session: SessionRecord | undefined
    readonly grounds: Grounds
  }
  | { readonly kind: 'not_signed_in', readonly grounds: Grounds | undefined }

export interface ForwardAuthRequest {
  /** Undefined: the proxy sent no target, or is not trusted. */
  readonly target: Target | undefined
  /** The client's address, as reported by the trusted proxies. */
  readonly address: () => string | undefined
  readonly cookieHeader: string | undefined
  readonly client: ReadClient
}

export interface Authorizer {
  /** @throws `target_missing`, `database_unavailable`, `identity_too_large`; also as a rejection */
  authorize(request: ForwardAuthRequest): Verdict | Promise<Verdict>
  /** The same from memory alone; undefined: call authorize(). */
  authorizeCached(target: Target | undefined, cookieHeader: string | undefined): FastPathVerdict | undefined
  /** Which rule allowed a request for every address, given its address. */
  groundsFor(request: Pick<ForwardAuthRequest, 'target' | 'address' | 'cookieHeader'>): Grounds | undefined
}

export interface AccessInForce {
  readonly policy: AccessPolicy
  /** Undefined: there are none. They take no part in the answer. */
  readonly shadows: ShadowRules | undefined
  readonly headers: CompiledHeaders
}

export interface AuthorizerDeps {
  readonly sessions: SessionResolver
  readonly headers: IdentityHeaderCache
  /** Compiled once for each configuration. */
  readonly inForce: () => AccessInForce
  /** Called when access.default decided for a signed-in user at a host that no rule names. */
  readonly onUnnamedHost: (hostname: string, byDefault: Grounds) => void
}

export function createAuthorizer(deps: AuthorizerDeps): Authorizer {
  const { sessions, inForce } = deps
  return {
    authorize(request) {
      const rules = inForce()
      const first = decide(rules.policy, request, 'not_looked_up')
      if (first.kind === 'needs' && first.what !== 'session') throw missingFact(first.what)
      const answer = sessions.resolve(request.cookieHeader, request.client)
      return answer instanceof Promise
        ? answer.then((read) => withSession(request, read, rules, deps))
        : withSession(request, answer, rules, deps)
    },
    authorizeCached(target, cookieHeader) {
      const { policy, headers } = inForce()
      const cached = sessions.resolveCached(cookieHeader)
      const decision = decide(policy, { target, address: undefined }, knownSession(cached))
      return fromCache(decision, cached, target, headers, deps)
    },
    groundsFor({ target, address, cookieHeader }) {
      const session = knownSession(sessions.resolveCached(cookieHeader))
      const decision = decide(inForce().policy, { target, address }, session)
      return decision.kind === 'needs' ? undefined : decision.grounds
    },
  }
}

function withSession(
  request: ForwardAuthRequest,
  answer: SessionAnswer,
  rules: AccessInForce,
  deps: AuthorizerDeps,
): Verdict {
  const decision = decide(rules.policy, request, answer.session ?? 'anonymous')
  if (decision.kind === 'needs') throw missingFact(decision.what)
  if (decision.kind === 'not_signed_in') return { ...decision, code: reasonOf(answer) }
  noteUnnamedHost(decision.grounds, request.target, deps)
  if (decision.kind === 'not_allowed') return { ...decision, frontPage: mayOpenFrontPage(request, decision, rules) }
  const { session, grounds } = decision
  const cached = answer.session === undefined ? undefined : answer.cached
  const headers = deps.headers.get(session, cached, request.target?.hostname, rules.headers)
  return { kind: 'allowed', grounds, session, headers }
}

function fromCache(
  decision: Authorization,
  cached: CachedSession | 'anonymous' | undefined,
  target: Target | undefined,
  headers: CompiledHeaders,
  deps: AuthorizerDeps,
): FastPathVerdict | undefined {
  if (cached === 'anonymous') {
    if (decision.kind === 'not_signed_in') return decision
    if (decision.kind !== 'allowed') return undefined
    const { grounds } = decision
    return { kind: 'allowed', headers: deps.headers.anonymous(headers), session: undefined, grounds }
  }
  if (cached === undefined || decision.kind !== 'allowed') return undefined // guard: live-fast-path-allowed
  const ready = deps.headers.getCached(cached, target?.hostname, headers)
  if (ready === undefined) return undefined
  noteUnnamedHost(decision.grounds, target, deps)
  return { kind: 'allowed', headers: ready, session: cached.record, grounds: decision.grounds }
}

function noteUnnamedHost(grounds: Grounds, target: Target | undefined, { onUnnamedHost }: AuthorizerDeps): void {
  if (grounds.hostUnnamed) onUnnamedHost(target?.hostname ?? '', grounds)
}

function reasonOf(answer: SessionAnswer): NoSessionReason {
  return answer.session === undefined ? answer.reason : 'not_signed_in'
}

/** The route knows the address and looks the session up; only the target can be missing. */
function missingFact(what: Undecided['what']): GatehouseError {
  if (what !== 'target') return new GatehouseError('internal', { detail: `no decision without the ${what}` })
  return new GatehouseError('target_missing', {
    detail: 'there are access rules, but the request does not name its target',
    remedy: 'The proxy must send X-Original-URL and X-Original-Method, or X-Forwarded-Proto, -Host, -Uri and -Method ' +
      '(server.authRequestHeaders), from an address in server.trustedProxies.',
  })
}

/** Whether a refused user may open the front page of the same application instead. */
function mayOpenFrontPage(
  { target, address }: ForwardAuthRequest,
  { session }: { readonly session: SessionRecord },
  { policy }: AccessInForce,
): boolean {
  if (target === undefined || target.path === '/') return false
  return policy.decide({ target: { ...target, path: '/', uri: '/', method: 'GET' }, address }, session).allow
}

function knownSession(cached: CachedSession | 'anonymous' | undefined): KnownSession {
  if (cached === undefined) return 'not_looked_up'
  return cached === 'anonymous' ? 'anonymous' : cached.record
}
