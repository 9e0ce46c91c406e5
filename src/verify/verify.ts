// `gatehouse/verify`, for applications behind the gateway: verifies X-Gatehouse-Assertion or the identity cookie. Needs
// `jose` and nothing else of the gateway.
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose'
import { AssertionError } from './assertion-error.js'
import { IDENTITY_CLAIMS, identityOf } from './claims.js'
import type { Identity } from './identity.js'

export { AssertionError, type Identity }

/**
 * Whose assertions are accepted, for which application, and with which limits of time.
 *
 * @example
 * ```ts
 * import { createVerifier, type VerifierOptions } from 'gatehouse/verify'
 *
 * const options: VerifierOptions = { issuer: 'https://auth.example.com', audience: 'wiki.example.com' }
 * export const header = createVerifier(options)
 * export const identityCookie = createVerifier({ ...options, audience: 'example.com', maxLifetime: 600 })
 * ```
 */
export interface VerifierOptions {
  /** `server.publicUrl` of the gateway, without a trailing slash. */
  readonly issuer: string
  /**
   * The application's own host name, in lower case and without a port; for the identity cookie `session.cookieDomain`.
   * An assertion for any one of several is accepted.
   */
  readonly audience: string | readonly string[]
  /** URL of the public keys (RFC 7517). Default: `issuer` followed by `/.well-known/jwks.json`. */
  readonly jwksUrl?: string
  /** By how many seconds clocks may differ. Default: 5. */
  readonly clockTolerance?: number
  /** The greatest difference between `iat` and `exp`, in seconds. Default: 300; for the identity cookie set 600. */
  readonly maxLifetime?: number
}

/**
 * Verifies assertions. It keeps the public keys for five minutes, so that most calls need no request.
 *
 * @example
 * ```ts
 * import type { Verifier } from 'gatehouse/verify'
 *
 * export async function greeting(verifier: Verifier, assertion: string | undefined): Promise<string> {
 *   const { name, username } = await verifier.verify(assertion)
 *   return `Hello ${name ?? username}`
 * }
 * ```
 */
export interface Verifier {
  /**
   * Verifies signature (ES256, RFC 7518 section 3.4), issuer, audience, times and the type of every claim.
   *
   * @param assertion the value of the header or the cookie; `undefined` and `''` if there is none. A list is accepted
   * because Node types headers so, and refused as `invalid`: Gatehouse sends one.
   * @returns the person who sent the request
   * @throws {@link AssertionError} with the code `missing`, `invalid` or `unavailable`
   */
  verify(assertion: string | readonly string[] | undefined): Promise<Identity>
}

/**
 * Creates a verifier; one for the whole life of the application, because the verifier keeps the public keys.
 *
 * @throws TypeError if `audience` is missing or empty: an assertion for another application must never be accepted
 * @throws TypeError if `issuer` is not an http or https origin without a trailing slash
 *
 * @example
 * ```ts
 * import { createVerifier } from 'gatehouse/verify'
 *
 * const verifier = createVerifier({ issuer: 'https://auth.example.com', audience: 'wiki.example.com' })
 *
 * export async function userId(headers: Readonly<Record<string, string | undefined>>): Promise<string> {
 *   const { sub } = await verifier.verify(headers['x-gatehouse-assertion'])
 *   return sub
 * }
 * ```
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
          'there is no assertion: the request is anonymous, or it did not pass through the proxy',
        )
      }
      if (typeof assertion !== 'string') throw new AssertionError('invalid', 'the assertion is not a string')
      const { payload } = await jwtVerify(assertion, keys, {
        algorithms: ['ES256'],
        issuer,
        audience: audiences,
        clockTolerance,
        requiredClaims: ['iat', 'exp', ...IDENTITY_CLAIMS],
      }).catch((cause: unknown) => {
        throw refusal(cause)
      })
      checkTimes(payload, { clockTolerance, maxLifetime })
      return identityOf(payload)
    },
  }
}

/**
 * jose compares `exp` with the clock. Gatehouse never issues an assertion with an `iat` in the future or a longer
 * lifetime, so such an assertion was made by someone else who has the key.
 */
function checkTimes(
  { iat = 0, exp = 0 }: JWTPayload,
  { clockTolerance, maxLifetime }: { clockTolerance: number, maxLifetime: number },
): void {
  if (iat > Date.now() / 1000 + clockTolerance) { // guard: adv-assertion-future
    throw new AssertionError('invalid', 'the assertion was issued in the future')
  }
  if (exp - iat <= maxLifetime + clockTolerance) return // guard: adv-assertion-lifetime
  throw new AssertionError(
    'invalid',
    `the assertion is valid for more than ${maxLifetime} seconds; for the identity cookie set \`maxLifetime: 600\``,
  )
}

/** Errors of jose about the assertion, and all others, which mean that the keys could not be fetched. */
function refusal(cause: unknown): AssertionError {
  const aboutAssertion = cause instanceof errors.JWTExpired || cause instanceof errors.JWTClaimValidationFailed ||
    cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid ||
    cause instanceof errors.JWSSignatureVerificationFailed || cause instanceof errors.JOSEAlgNotAllowed ||
    cause instanceof errors.JOSENotSupported || cause instanceof errors.JWKSNoMatchingKey ||
    cause instanceof errors.JWKSMultipleMatchingKeys
  return aboutAssertion
    ? new AssertionError('invalid', `the assertion is not valid: ${cause.message}`, cause)
    : new AssertionError('unavailable', 'the public keys of Gatehouse could not be fetched', cause)
}
