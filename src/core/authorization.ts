// The decision about a forward-auth request, from whatever is known of it so far. It has two drivers: the route obtains
// what the decision needs and decides again; the fast path decides once from memory and falls through to the route.
import type { AccessPolicy, Grounds } from './access.js'
import type { SessionRecord } from './session.js'
import type { Target } from './target.js'

export interface AuthorizationRequest {
  /** Undefined: the proxy sent no target, or is not trusted. */
  readonly target: Target | undefined
  /** The client's address, as reported by the trusted proxies; undefined: not read yet. */
  readonly address: (() => string | undefined) | undefined
}

/** `not_looked_up`: the session is not known yet; `anonymous`: there is none. */
export type KnownSession = SessionRecord | 'anonymous' | 'not_looked_up'

export type Authorization =
  | { readonly kind: 'allowed', readonly grounds: Grounds, readonly session: SessionRecord | undefined }
  /** `grounds` undefined: no rule of the host can allow an anonymous request, so the rules were not evaluated. */
  | { readonly kind: 'not_signed_in', readonly grounds: Grounds | undefined }
  | { readonly kind: 'not_allowed', readonly grounds: Grounds, readonly session: SessionRecord }
  | Undecided

/** What must be known before the request can be decided. */
export interface Undecided {
  readonly kind: 'needs'
  readonly what: 'target' | 'session' | 'address'
}

const NEEDS_TARGET: Undecided = { kind: 'needs', what: 'target' }
const NEEDS_SESSION: Undecided = { kind: 'needs', what: 'session' }
const NEEDS_ADDRESS: Undecided = { kind: 'needs', what: 'address' }
const CLOSED_TO_ANONYMOUS: Authorization = { kind: 'not_signed_in', grounds: undefined }

/** @returns the same decision for the same facts; `needs` only for a fact that was not given */
export function decide(
  policy: AccessPolicy,
  { target, address }: AuthorizationRequest,
  known: KnownSession,
): Authorization {
  if (target === undefined && !policy.ignoresTarget) return NEEDS_TARGET
  if (known === 'not_looked_up') return NEEDS_SESSION
  const session = known === 'anonymous' ? undefined : known
  // guard: live-fast-path-closed-host
  if (session === undefined && target !== undefined && !policy.mayLetAnyoneIn(target.hostname)) {
    return CLOSED_TO_ANONYMOUS // guard: adv-anonymous-not-evaluated
  }
  const decision = policy.decide(target === undefined ? undefined : { target, address }, session)
  if (decision.allow === undefined) return NEEDS_ADDRESS
  const { allow, grounds } = decision
  if (allow) return { kind: 'allowed', grounds, session } // guard: live-fast-path-anonymous
  return session === undefined ? { kind: 'not_signed_in', grounds } : { kind: 'not_allowed', grounds, session }
}
