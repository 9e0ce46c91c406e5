// A fresh sign-in: Entra ID must authenticate the user anew, and must confirm it with the claim `auth_time`. What it is
// for, and which session it renews, is sealed into the state of the flow when it begins; it is never read from a query.
import { GatehouseError } from './errors.js'
import { isRecord } from './is-record.js'

export interface StepUp {
  /** `admin`: the sign-in to the admin console. */
  readonly purpose: 'admin'
  /** Public id of the session that the browser had when it began, and its user; undefined: it had none. */
  readonly session: string | undefined
  readonly userId: string | undefined
  /** Hash of the id of the admin session that is renewed, in base64url; undefined: there is none yet. */
  readonly adminSession: string | undefined
  /** Authentication context of Conditional Access that the sign-in must have (`c1` to `c99`); undefined: none. */
  readonly acrs?: string | undefined
}

/** How long before its flow began an authentication may have been: clocks differ, and a tab may have been faster. */
const TOLERANCE_SECONDS = 60

const REMEDY = 'Register the optional claim auth_time in the ID token (Token configuration, token type ID): Entra ID ' +
  'then says when it authenticated the user. `gatehouse doctor` lists the claims that are missing.'

/**
 * @param authTime claim `auth_time`, seconds since 1970; `iat` never counts for it
 * @param beganAt when the flow began, milliseconds since 1970
 * @throws GatehouseError `step_up_unmet`
 */
export function requireFresh(authTime: number | undefined, beganAt: number): void {
  if (authTime === undefined) { // guard: admin-auth-time-missing
    throw new GatehouseError('step_up_unmet', { detail: 'the ID token has no auth_time', remedy: REMEDY })
  }
  if (authTime < beganAt / 1000 - TOLERANCE_SECONDS) { // guard: admin-auth-time-stale
    const at = new Date(authTime * 1000).toISOString()
    throw new GatehouseError('step_up_unmet', {
      detail: `prompt=login was sent, but the user was authenticated at ${at}, before the sign-in began`,
      remedy: 'If this repeats, compare the clocks. A federated identity provider may ignore prompt=login.',
      facts: { authenticatedAt: at },
    })
  }
}

/**
 * The claims request with which Entra ID asks for what the authentication context needs
 * (learn.microsoft.com, "Developer guide to Conditional Access authentication context").
 * @param others another claims request, as a JSON object: what Graph or the token endpoint asked for
 */
export function contextRequest(acrs: string, others = '{}'): string {
  const { id_token: idToken, ...rest } = JSON.parse(others) as Readonly<Record<string, unknown>>
  const asked = { acrs: { essential: true, value: acrs } }
  return JSON.stringify({ ...rest, id_token: { ...(isRecord(idToken) ? idToken : {}), ...asked } })
}

/**
 * An authentication context counts for the sign-in that asked for it, and for no other.
 * @param given claim `acrs` of the verified ID token
 * @throws GatehouseError `step_up_unmet`
 */
export function requireContext(given: readonly string[] | undefined, { acrs }: Pick<StepUp, 'acrs'>): void {
  if (acrs === undefined || given?.includes(acrs) === true) return // guard: admin-acrs-missing
  throw new GatehouseError('step_up_unmet', {
    detail: `the authentication context ${acrs} was asked for, and the claim acrs of the ID token ` +
      (given === undefined ? 'is missing' : 'does not have it'),
    remedy: 'Publish the authentication context under Conditional Access, let a policy require it of this ' +
      'application, and register the optional claim acrs in the ID token (Token configuration, token type ID).',
    facts: { acrs },
  })
}

/** @throws GatehouseError `step_up_other_person` */
export function requireSamePerson(userId: string | undefined, { userId: expected }: Pick<StepUp, 'userId'>): void {
  if (expected === undefined || userId === expected) return // guard: admin-other-person
  throw new GatehouseError('step_up_other_person', { detail: 'another user came back than the one of the session' })
}
