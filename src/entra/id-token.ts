// The id token, checked claim by claim, each failure under its own code (learn.microsoft.com, "Claims validation" and
// "ID tokens"; OpenID Connect Core 3.1.3.7). RS256 alone: `alg: none` and HS256 with the public key are old attacks.
import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import { equalInConstantTime } from '../core/constant-time.js'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { isObjectId, type TokenClaims } from '../core/identity.js'
import type { TenantKeys } from './keys.js'

const SKEW_SECONDS = 300 // guard: token-skew

export interface IdTokenRules {
  readonly keys: TenantKeys
  /** Of each tenant; `{tenantid}` stands for the token's own. */
  readonly issuer: string
  readonly clientId: string
  /** Whose people may sign in; in lower case. */
  readonly tenants: readonly string[]
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** @throws GatehouseError `id_token_*` or `entra_keys_unavailable` */
export async function verifyIdToken(
  token: string,
  nonce: string,
  rules: IdTokenRules,
  signal: AbortSignal,
): Promise<TokenClaims> {
  const { alg, kid } = headerOf(token)
  // guard: token-algorithm
  if (alg !== 'RS256') throw refused('id_token_algorithm', `signed with ${String(alg).slice(0, 20)}`)
  if (typeof kid !== 'string') throw refused('id_token_key', 'names no key')
  const signing = await rules.keys.find(kid, signal)
  // guard: token-known-key
  if (!signing) throw refused('id_token_key', `key ${kid.slice(0, 60)} is not among the tenant's keys`)
  const claims = await verified(token, signing.key, rules)
  checkClaims(claims, nonce, rules)
  if (signing.issuer !== undefined && issuerOf(signing.issuer, claims) !== claims.iss) { // guard: token-key-issuer
    throw refused('id_token_key', 'the key belongs to another issuer')
  }
  return pickClaims(claims, (rules.now?.() ?? Date.now()) / 1000 + SKEW_SECONDS)
}

function headerOf(token: string): { alg?: unknown, kid?: unknown } {
  try {
    return decodeProtectedHeader(token)
  } catch (cause) {
    throw refused('id_token_malformed', 'not a JWT', cause)
  }
}

async function verified(token: string, key: Parameters<typeof jwtVerify>[1], rules: IdTokenRules): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['RS256'],
      issuer: rules.tenants.map((tid) => issuerOf(rules.issuer, { tid })),
      audience: rules.clientId, // guard: token-audience
      clockTolerance: SKEW_SECONDS, // guard: token-times
      currentDate: new Date(rules.now?.() ?? Date.now()),
      // guard: token-required-claims
      requiredClaims: ['iss', 'aud', 'exp', 'nbf', 'iat', 'sub', 'tid', 'oid', 'nonce', 'ver'],
    })
    return payload
  } catch (error) {
    throw refused(codeOf(error), error instanceof Error ? error.message : 'not verified', error)
  }
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof errors.JWTExpired) return 'id_token_expired'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'id_token_signature'
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return 'id_token_claims'
    const byClaim: Readonly<Record<string, ErrorCode>> = {
      iss: 'id_token_issuer',
      aud: 'id_token_audience',
      nbf: 'id_token_not_yet_valid',
      iat: 'id_token_not_yet_valid',
    }
    return byClaim[error.claim] ?? 'id_token_claims'
  }
  return 'id_token_malformed'
}

/** Of the tenant that the token names: a key or an issuer of another one does not do. */
function issuerOf(issuer: string, { tid }: JWTPayload): string {
  return issuer.replace('{tenantid}', String(tid))
}

function checkClaims(claims: JWTPayload, nonce: string, { issuer, tenants, now = Date.now }: IdTokenRules): void {
  if (claims.aud !== undefined && Array.isArray(claims.aud) && claims.aud.length !== 1) { // guard: token-one-audience
    throw refused('id_token_audience', 'more than one audience')
  }
  if (typeof claims.tid !== 'string' || !tenants.includes(claims.tid.toLowerCase())) { // guard: tid-checked
    throw refused(
      'id_token_tenant',
      `tid is ${String(claims.tid).slice(0, 40)}`,
      undefined,
      'Check entra.tenantId and entra.allowedTenants; guests must be invited into this tenant.',
    )
  }
  if (claims.iss !== issuerOf(issuer, claims)) { // guard: token-issuer-of-tenant
    throw refused('id_token_issuer', 'issuer and tenant do not belong together')
  }
  if (typeof claims.nonce !== 'string' || !equalInConstantTime(claims.nonce, nonce)) { // guard: token-nonce
    throw refused('id_token_nonce', 'the nonce is not the one of this sign-in')
  }
  if (claims.ver !== '2.0') { // guard: token-version
    throw refused('id_token_claims', `version ${String(claims.ver).slice(0, 10)} instead of 2.0`)
  }
  // guard: oid-is-an-object-id, token-object-id
  if (typeof claims.oid !== 'string' || !isObjectId(claims.oid)) throw refused('id_token_claims', 'oid is no object ID')
  if (claims.iat !== undefined && claims.iat > now() / 1000 + SKEW_SECONDS) { // guard: token-issued-in-future
    throw refused('id_token_not_yet_valid', 'issued in the future', undefined, 'Check the clock of this machine.')
  }
}

const TEXTS = ['name', 'preferred_username', 'upn', 'email', 'given_name', 'family_name', 'sid', 'login_hint'] as const

/** What Gatehouse looks at, and nothing else: `groups` and `_claim_sources` are never read. */
function pickClaims(claims: JWTPayload, latest: number): TokenClaims {
  const texts = Object.fromEntries(
    TEXTS.flatMap((name) => typeof claims[name] === 'string' && claims[name] !== '' ? [[name, claims[name]]] : []),
  )
  const edov = claims.xms_edov
  return {
    ...texts,
    tid: String(claims.tid).toLowerCase(),
    oid: String(claims.oid).toLowerCase(),
    sub: claims.sub ?? '',
    iat: claims.iat ?? 0,
    ...(typeof edov === 'boolean' || typeof edov === 'string' || typeof edov === 'number' ? { xms_edov: edov } : {}),
    ...(isPast(claims.auth_time, latest) ? { auth_time: claims.auth_time } : {}),
    ...contexts(claims.acrs),
    ...(claims.acct === 0 || claims.acct === 1 ? { acct: claims.acct } : {}),
  }
}

/** Entra ID documents a list of texts; one text alone counts as a list of one. */
function contexts(acrs: unknown): Pick<TokenClaims, 'acrs'> {
  const given: readonly unknown[] = Array.isArray(acrs) ? acrs : [acrs]
  const texts = given.filter((each) => typeof each === 'string')
  return texts.length === 0 ? {} : { acrs: texts }
}

/** An authentication of the future is none. */
function isPast(seconds: unknown, latest: number): seconds is number {
  return typeof seconds === 'number' && seconds > 0 && seconds <= latest // guard: admin-auth-time-future
}

function refused(
  code: ErrorCode,
  detail: string,
  cause?: unknown,
  remedy = 'If people cannot sign in at all: check entra.tenantId, entra.clientId and the clock.',
): GatehouseError {
  return new GatehouseError(code, { detail: `id token: ${detail}`, remedy, ...(cause === undefined ? {} : { cause }) })
}
