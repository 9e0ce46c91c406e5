// What a step of the operator's own sees and what it may answer. It is a guest in the login: it may refuse it and may
// say how the person is called; groups, flags, the e-mail and who the person is are not its business.
import { GatehouseError } from '../errors.js'
import type { IdentityClaims } from '../identity.js'
import type { LoginPlan, Step } from './pipeline.js'

/** Copies; nothing that is done to them changes the login. No token is among them. */
export interface OwnStepInput {
  /** Claims of the verified id token. */
  readonly claims: IdentityClaims
  /** Object IDs of all Entra groups, nested ones too, in lower case. */
  readonly groupIds: readonly string[]
  /** What the steps before this one have decided. */
  readonly plan: Readonly<LoginPlan>
}

/** What a step may change of `plan.details`; null says that there is none. */
export interface OwnStepDetails {
  readonly name?: string | null
  readonly givenName?: string | null
  readonly familyName?: string | null
  /** What get_username makes the name of a new user of; it is cleaned and made unique there. */
  readonly usernameSource?: string
}

/** Nothing: the login goes on. */
export type OwnStepAnswer = undefined | { readonly refuse: string } | { readonly details: OwnStepDetails }

/** The default export of a module that the pipeline names. It may run more than once for one login. */
export type OwnStep = (input: OwnStepInput) => OwnStepAnswer | Promise<OwnStepAnswer>

const MAX_TEXT = 200
const DETAILS = ['name', 'givenName', 'familyName', 'usernameSource'] as const

/** @param ask hands the input to the module and brings back whatever it answered */
export function ownStep(name: string, ask: (input: OwnStepInput) => Promise<unknown>): Step {
  return async ({ claims, groupIds, plan }) => {
    const answer = await ask({ claims, groupIds, plan })
    if (answer === undefined || answer === null) return {}
    const { refuse, details, ...more } = isRecord(answer) ? answer : { more: answer }
    if (Object.keys(more).length > 0 || (refuse === undefined) === (details === undefined)) {
      throw nonsense(name, 'something else than nothing, { refuse } or { details }')
    }
    if (refuse !== undefined) {
      if (!isText(refuse)) throw nonsense(name, `a refusal that is no text of 1 to ${MAX_TEXT} visible characters`)
      throw new GatehouseError('step_refused', {
        sentence: refuse,
        detail: `${name} refused: ${refuse}`,
        facts: { step: name },
      })
    }
    if (!plan.details) throw nonsense(name, 'details before there are any; put it behind social_details')
    return { details: { ...plan.details, ...checkedDetails(name, details) } }
  }
}

function checkedDetails(name: string, details: unknown): OwnStepDetails {
  if (!isRecord(details)) throw nonsense(name, 'details that are no object')
  for (const [key, value] of Object.entries(details)) {
    if (!(DETAILS as readonly string[]).includes(key)) {
      throw nonsense(name, `details with ${JSON.stringify(key.slice(0, 40))}; it may set ${DETAILS.join(', ')}`)
    }
    if (!isText(value) && (value !== null || key === 'usernameSource')) {
      throw nonsense(name, `details.${key} that is no text of 1 to ${MAX_TEXT} visible characters`)
    }
  }
  return details
}

function nonsense(step: string, what: string): GatehouseError {
  return new GatehouseError('step_failed', {
    detail: `${step} answered ${what}`,
    remedy: 'See docs/custom-steps.md.',
    facts: { step },
  })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT && value.trim() !== '' &&
    !/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(value)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
