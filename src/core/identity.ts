// Who Entra ID says a person is, and what Graph says of their groups. No token appears in any of these shapes.

/**
 * The claims of a verified v2.0 id token that Gatehouse looks at (learn.microsoft.com, "ID token claims reference").
 */
export interface IdentityClaims {
  /** Tenant and object id: together the person. Lower case. */
  readonly tid: string
  readonly oid: string
  readonly sub: string
  /** Seconds since 1970. */
  readonly iat: number
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

/** One complete answer of Graph: every page, groups only, de-duplicated, lower case. */
export interface MembershipSnapshot {
  readonly groupIds: readonly string[]
  /** The database's time before the first question: an older reading never overwrites a newer one. */
  readonly readAt: string
  /** Graph requests it took, for the log. */
  readonly requests: number
}

/** Object IDs as Microsoft writes them: any hex, no RFC variant bits asked for. */
export function isObjectId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
}

export interface Person {
  readonly claims: IdentityClaims
  readonly memberships: MembershipSnapshot
}

/** What the authorization endpoint handed back, with what proves that it was asked for by this browser. */
export interface AuthorizationGrant {
  readonly code: string
  readonly codeVerifier: string
  readonly nonce: string
  /** Names this login in logs, in Graph's `client-request-id` and in the audit. */
  readonly correlationId: string
}

/** Where identities come from: redeem, verify, read every membership; then forget the tokens. */
export interface IdentitySource {
  /** @param now the clock that readings are ordered by */
  identify(grant: AuthorizationGrant, now: () => Promise<string>): Promise<Person>
}
