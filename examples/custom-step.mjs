// A custom step: guests need a sponsored group, and new employees get a username from their employee number.
//
// Put a copy beside the configuration and name it in `pipeline`, after social_user and before get_username:
//
//     pipeline: [social_details, social_uid, social_user, ./custom-step.mjs, get_username, ...]
// @ts-check

const GUEST = 1
/** Object ID, in lower case, of the Entra ID group of guests who have a sponsor. */
const SPONSORED_GUESTS = '3f1c8a52-7a5e-4a54-9a31-6f1f0c6f5b0a'

/** @type {import('gatehouse/step').CustomStep} */
export default function step({ claims, groupIds, plan }) {
  if (claims.acct === GUEST && !groupIds.includes(SPONSORED_GUESTS)) {
    return { refuse: 'Guest accounts need a sponsor. Please contact the service desk.' }
  }
  const [, employeeNumber] = /^e(\d+)@/.exec(claims.upn ?? '') ?? []
  if (employeeNumber !== undefined && plan.user === undefined) {
    return { details: { usernameSource: `employee-${employeeNumber}` } }
  }
}
