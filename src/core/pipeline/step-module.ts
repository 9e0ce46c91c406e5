// The types that `gatehouse/step` exports: what the module of a custom step receives and what it may return. There is
// nothing to import at run time; src/core/pipeline/custom-step.ts checks what a module returned.
import type { IdentityClaims } from '../identity.js'
import type { LoginPlan } from './pipeline.js'

/**
 * What a custom step receives: a copy, so that changing it does not change the login. It never contains a token.
 *
 * `claims` follows "ID token claims reference" on learn.microsoft.com.
 *
 * @example
 * ```ts
 * import type { CustomStepInput } from 'gatehouse/step'
 *
 * export function isGuest({ claims }: CustomStepInput): boolean {
 *   return claims.acct === 1
 * }
 * ```
 */
export interface CustomStepInput {
  /** Claims of the verified ID token. `tid` and `oid` are in lower case, `iat` is in seconds since 1970. */
  readonly claims: IdentityClaims
  /** Object IDs, in lower case, of all Entra ID groups of the person: direct and nested memberships. */
  readonly groupIds: readonly string[]
  /**
   * The results of the steps before this one; a property is absent until its step has run. `plan.user` stays absent
   * for a new user.
   */
  readonly plan: Readonly<LoginPlan>
}

/**
 * The properties of `plan.details` that a custom step may replace; properties that are left out keep their values.
 *
 * A text has 1 to 200 visible characters. `null` removes a name.
 *
 * @example
 * ```ts
 * import type { CustomStepDetails } from 'gatehouse/step'
 *
 * export const details: CustomStepDetails = { name: 'Ada Lovelace', familyName: null }
 * ```
 */
export interface CustomStepDetails {
  /** The display name. */
  readonly name?: string | null
  readonly givenName?: string | null
  readonly familyName?: string | null
  /** `get_username` derives the username of a new user from this text, and makes the username valid and unique. */
  readonly usernameSource?: string
}

/**
 * What a custom step returns: nothing, a refusal or details.
 *
 * - `undefined`: the login continues.
 * - `{ refuse }`: the login ends with 403 `step_refused`; the page shows the sentence (1 to 200 visible characters).
 * - `{ details }`: replaces properties of `plan.details`; the step must run after `social_details`.
 *
 * Every other value ends the login with `step_failed`.
 *
 * @example
 * ```ts
 * import type { CustomStepAnswer } from 'gatehouse/step'
 *
 * export const closed: CustomStepAnswer = { refuse: 'This account is closed.' }
 * ```
 */
export type CustomStepAnswer = undefined | { readonly refuse: string } | { readonly details: CustomStepDetails }

/**
 * The default export of a module that `pipeline` names. It must answer within 5 seconds and may run more than once for
 * one login (docs/custom-steps.md).
 *
 * An error that the function throws ends the login with `step_failed`; only `{ refuse }` shows its sentence to people.
 *
 * @example
 * ```ts
 * import type { CustomStep } from 'gatehouse/step'
 *
 * export default (({ claims }) => {
 *   if (claims.acct === 1) return { refuse: 'Guest accounts cannot sign in here.' }
 * }) satisfies CustomStep
 * ```
 */
export type CustomStep = (input: CustomStepInput) => CustomStepAnswer | Promise<CustomStepAnswer>
