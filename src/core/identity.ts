// The identity that Entra ID confirms, and the memberships that Graph returns. None of these types contains a token.

/**
 * The claims of a verified v2.0 ID token that Gatehouse uses (learn.microsoft.com, "ID token claims reference").
 */
export interface IdentityClaims {
  /** Tenant and object ID: together they identify the user. Lower case. */
  readonly tid: string
  readonly oid: string
  readonly sub: string
  /** Seconds since 1970. */
  readonly iat: number
  /** Optional claim: when Entra ID authenticated the user, seconds since 1970. */
  readonly auth_time?: number
  readonly name?: string
  readonly preferred_username?: string
  readonly upn?: string
  readonly email?: string
  /** "E-mail domain owner verified": true or "1". */
  readonly xms_edov?: boolean | string | number
  readonly given_name?: string
  readonly family_name?: string
  /** Entra's session id, for front-channel logout. */
  readonly sid?: string
  readonly login_hint?: string
  /** 0 member, 1 guest. */
  readonly acct?: number
}

export interface TokenClaims extends IdentityClaims {
  /** Authentication contexts of Conditional Access. They count where the sign-in asked for one (core/step-up.ts). */
  readonly acrs?: readonly string[]
}

/** The complete memberships from Graph: every page, groups only, de-duplicated, lower case. */
export interface MembershipSnapshot {
  readonly groupIds: readonly string[]
  /** The database's time before the first request: an older snapshot never overwrites a newer one. */
  readonly readAt: string
  /** Graph requests it took, for the log. */
  readonly requests: number
}

/** Object IDs as Microsoft writes them: any hexadecimal digits, the variant bits of RFC 9562 are not checked. */
export function isObjectId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
}

export interface Person {
  readonly claims: TokenClaims
  readonly memberships: MembershipSnapshot
}

/** The authorization response, with the values that prove that this browser requested it. */
export interface AuthorizationGrant {
  readonly code: string
  readonly codeVerifier: string
  readonly nonce: string
  /** Names this login in logs, in Graph's `client-request-id` and in the audit. */
  readonly correlationId: string
}

/** Redeems the code, verifies the ID token and reads every membership; tokens are not kept. */
export interface IdentitySource {
  /** @param now the clock that orders snapshots */
  identify(grant: AuthorizationGrant, now: () => Promise<string>): Promise<Person>
}
