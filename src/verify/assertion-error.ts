// The one error that a verifier throws.

/**
 * Why an assertion was refused.
 *
 * | `code` | meaning | answer of an application |
 * |---|---|---|
 * | `missing` | the request carries no assertion: it is anonymous, or it did not pass through the proxy | 401 |
 * | `invalid` | signature, algorithm, issuer, audience, time or a claim is wrong | 401 |
 * | `unavailable` | the public keys could not be fetched, so nothing is known about the assertion | 503 |
 *
 * `cause` holds the error of `jose` where there is one. `message` is for logs; compare `code`.
 *
 * @example
 * ```ts
 * import { AssertionError } from 'gatehouse/verify'
 *
 * export function statusOf(error: unknown): 401 | 500 | 503 {
 *   if (!(error instanceof AssertionError)) return 500
 *   return error.code === 'unavailable' ? 503 : 401
 * }
 * ```
 */
export class AssertionError extends Error {
  /** Which of the three kinds of refusal this is. */
  readonly code: 'missing' | 'invalid' | 'unavailable'

  constructor(code: AssertionError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'AssertionError'
    this.code = code
  }
}
