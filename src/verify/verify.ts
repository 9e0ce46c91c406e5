// What an application imports as `gatehouse/verify`: believes X-Gatehouse-Assertion (or the identity cookie) when
// Gatehouse signed it, for this application, now. Stands on jose alone and on nothing of the gateway.
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose'

export interface VerifierOptions {
  /** `server.publicUrl` of the gateway. */
  readonly issuer: string
  /**
   * The application's own host name, in lower case without port; for the identity cookie session.cookieDomain. Several:
   * any of them.
   */
  readonly audience: string | readonly string[]
  /** Where the public keys are, if not at issuer + /.well-known/jwks.json. */
  readonly jwksUrl?: string
  /** How far clocks may differ, in seconds. */
  readonly clockTolerance?: number
  /** From `iat` to `exp` at most, in seconds: 300, as assertions have it. For the identity cookie: 600. */
  readonly maxLifetime?: number
}

/** Who sent the request. Names and claims: docs/assertion.md. */
export interface Identity {
  /** Never changes and is never given to somebody else. */
  readonly sub: string
  readonly username: string
  readonly email: string | undefined
  readonly emailVerified: boolean
  readonly name: string | undefined
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  /** Object ID and tenant in Microsoft Entra ID. */
  readonly oid: string | undefined
  readonly tid: string | undefined
  /** Public id of the session, as the gateway's log and audit name it. */
  readonly sid: string
  /** Seconds since 1970. */
  readonly expiresAt: number
}

/** `missing`: no assertion, so nobody. `invalid`: not to be believed. `unavailable`: the keys could not be fetched. */
export class AssertionError extends Error {
  readonly code: 'missing' | 'invalid' | 'unavailable'
  constructor(code: AssertionError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'AssertionError'
    this.code = code
  }
}

export interface Verifier {
  /** @param assertion the header's or cookie's value @throws AssertionError */
  verify(assertion: string | undefined): Promise<Identity>
}

const STRINGS = ['sub', 'sid', 'username'] as const
const LISTS = ['groups', 'permissions'] as const
const FLAGS = ['is_staff', 'is_superuser', 'email_verified'] as const

/**
 * One for the whole life of the application: it keeps the public keys.
 * @throws TypeError without issuer or audience: an assertion for another application must never be believed
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, jwksUrl, clockTolerance = 5, maxLifetime = 300 } = options
  const audiences = [audience].flat().filter((each) => typeof each === 'string' && each !== '')
  if (audiences.length === 0) {
    throw new TypeError('gatehouse/verify needs `audience`, the host name of this application')
  }
  if (typeof issuer !== 'string' || !/^https?:\/\/[^/]+$/.test(issuer)) {
    throw new TypeError('gatehouse/verify needs `issuer`, server.publicUrl of Gatehouse without a trailing slash')
  }
  const keys = createRemoteJWKSet(new URL(jwksUrl ?? `${issuer}/.well-known/jwks.json`), {
    timeoutDuration: 5_000,
    cooldownDuration: 5_000,
    cacheMaxAge: 300_000,
  })
  return {
    async verify(assertion) {
      if (assertion === undefined || assertion === '') {
        throw new AssertionError(
          'missing',
          'there is no assertion: nobody is signed in, or the request did not come through the proxy',
        )
      }
      const { payload } = await jwtVerify(assertion, keys, {
        algorithms: ['ES256'],
        issuer,
        audience: audiences,
        clockTolerance,
        requiredClaims: ['iat', 'exp', ...STRINGS, ...LISTS, ...FLAGS],
      }).catch((cause: unknown) => {
        throw refusal(cause)
      })
      checkTimes(payload, { clockTolerance, maxLifetime })
      return identityOf(payload)
    },
  }
}

/**
 * jose compares `exp` with the clock. A token of the future or of ten years is none that Gatehouse made, whoever signed
 * it.
 */
function checkTimes(
  { iat = 0, exp = 0 }: JWTPayload,
  { clockTolerance, maxLifetime }: { clockTolerance: number, maxLifetime: number },
): void {
  if (iat > Date.now() / 1000 + clockTolerance) {
    throw new AssertionError('invalid', 'the assertion was issued in the future')
  }
  if (exp - iat <= maxLifetime + clockTolerance) return
  throw new AssertionError(
    'invalid',
    `the assertion lives longer than ${maxLifetime} seconds; for the identity cookie give \`maxLifetime: 600\``,
  )
}

function refusal(cause: unknown): AssertionError {
  const ours = cause instanceof errors.JWTExpired || cause instanceof errors.JWTClaimValidationFailed ||
    cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid ||
    cause instanceof errors.JWSSignatureVerificationFailed || cause instanceof errors.JOSEAlgNotAllowed ||
    cause instanceof errors.JOSENotSupported || cause instanceof errors.JWKSNoMatchingKey ||
    cause instanceof errors.JWKSMultipleMatchingKeys
  return ours
    ? new AssertionError('invalid', `the assertion is not to be believed: ${cause.message}`, cause)
    : new AssertionError('unavailable', 'the public keys of Gatehouse could not be fetched', cause)
}

function identityOf(payload: JWTPayload): Identity {
  for (const name of STRINGS) if (typeof payload[name] !== 'string' || payload[name] === '') throw malformed(name)
  for (const name of LISTS) {
    if (!Array.isArray(payload[name]) || !payload[name].every((entry) => typeof entry === 'string')) {
      throw malformed(name)
    }
  }
  for (const name of FLAGS) if (typeof payload[name] !== 'boolean') throw malformed(name)
  const text = (name: string): string | undefined => typeof payload[name] === 'string' ? payload[name] : undefined
  return {
    sub: payload.sub ?? '',
    username: text('username') ?? '',
    email: text('email'),
    emailVerified: payload.email_verified === true,
    name: text('name'),
    groups: payload.groups as string[],
    permissions: payload.permissions as string[],
    isStaff: payload.is_staff === true,
    isSuperuser: payload.is_superuser === true,
    oid: text('oid'),
    tid: text('tid'),
    sid: text('sid') ?? '',
    expiresAt: payload.exp ?? 0,
  }
}

function malformed(name: string): AssertionError {
  return new AssertionError('invalid', `the claim ${name} of the assertion is not what it must be`)
}
