// Who may pass. Knows nothing of HTTP: a session and a target in, a decision out.
import type { SessionRecord } from './session.js'

export interface AccessPolicy {
  /** What holds where no rule decides. */
  readonly default: 'authenticated' | 'deny'
}

export type Decision =
  | { readonly allow: true }
  | { readonly allow: false, readonly reason: 'not_signed_in' | 'not_allowed' }

/** Superusers pass everything; nobody is let in unless something says so. */
export function decide(session: SessionRecord | undefined, policy: AccessPolicy): Decision {
  if (!session) return { allow: false, reason: 'not_signed_in' }
  if (session.isSuperuser || policy.default === 'authenticated') return { allow: true }
  return { allow: false, reason: 'not_allowed' }
}
