// Checks what a custom step returned: it may refuse the login and replace names of the person, but not change groups,
// flags, the e-mail address or the person's IDs.
import { GatehouseError } from '../errors.js'
import { isRecord } from '../is-record.js'
import type { Step } from './pipeline.js'
import type { CustomStepDetails, CustomStepInput } from './step-module.js'

const MAX_TEXT = 200
const DETAILS = ['name', 'givenName', 'familyName', 'usernameSource'] as const

/** The module of a custom step, as the configuration checked it: no file with another hash is ever run. */
export interface CustomStepFile {
  /** As `pipeline` names it: `./my-step.js`. */
  readonly name: string
  readonly path: string
  readonly sha256: string
}

/** @param call sends the input to the module and returns what the module returned, unchecked */
export function customStep(name: string, call: (input: CustomStepInput) => Promise<unknown>): Step {
  return async ({ claims, groupIds, plan }) => {
    const returned = await call({ claims, groupIds, plan })
    if (returned === undefined || returned === null) return {}
    const { refuse, details, ...more } = isRecord(returned) ? returned : { more: returned }
    // guard: custom-step-results
    if (Object.keys(more).length > 0 || (refuse === undefined) === (details === undefined)) {
      throw invalid(name, 'something other than nothing, { refuse } or { details }')
    }
    if (refuse !== undefined) {
      if (!isText(refuse)) throw invalid(name, `a refusal that is not a text of 1 to ${MAX_TEXT} visible characters`)
      throw new GatehouseError('step_refused', {
        sentence: refuse,
        detail: `${name} refused: ${refuse}`,
        facts: { step: name },
      })
    }
    if (!plan.details) throw invalid(name, 'details before there are any; put it after social_details')
    return { details: { ...plan.details, ...checkedDetails(name, details) } }
  }
}

function checkedDetails(name: string, details: unknown): CustomStepDetails {
  if (!isRecord(details)) throw invalid(name, 'details that are not an object')
  for (const [key, value] of Object.entries(details)) {
    if (!(DETAILS as readonly string[]).includes(key)) {
      throw invalid(name, `details with ${JSON.stringify(key.slice(0, 40))}; it may set ${DETAILS.join(', ')}`)
    }
    if (!isText(value) && (value !== null || key === 'usernameSource')) {
      throw invalid(name, `details.${key} that is not a text of 1 to ${MAX_TEXT} visible characters`)
    }
  }
  return details
}

function invalid(step: string, what: string): GatehouseError {
  return new GatehouseError('step_failed', {
    detail: `${step} returned ${what}`,
    remedy: 'See docs/custom-steps.md.',
    facts: { step },
  })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT && value.trim() !== '' &&
    !/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(value)
}
