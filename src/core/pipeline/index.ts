// The steps, in python-social-auth's order and under its names. A new step is one file beside this one and one line here.
import { associateByEmail } from './associate-by-email.js'
import { associateUser } from './associate-user.js'
import { azureadMapGroups } from './azuread-map-groups.js'
import { createUser } from './create-user.js'
import { getUsername } from './get-username.js'
import { loadExtraData } from './load-extra-data.js'
import type { NamedStep, Step } from './pipeline.js'
import { socialDetails } from './social-details.js'
import { socialUid } from './social-uid.js'
import { socialUser } from './social-user.js'
import { userDefaultGroupsHandler } from './user-default-groups-handler.js'
import { userDetails } from './user-details.js'

export const STEPS = {
  social_details: socialDetails,
  social_uid: socialUid,
  social_user: socialUser,
  get_username: getUsername,
  associate_by_email: associateByEmail,
  create_user: createUser,
  associate_user: associateUser,
  user_default_groups_handler: userDefaultGroupsHandler,
  load_extra_data: loadExtraData,
  user_details: userDetails,
  azuread_map_groups: azureadMapGroups,
} as const satisfies Record<string, Step>

export type StepName = keyof typeof STEPS

export function namedSteps(names: readonly StepName[]): NamedStep[] {
  return names.map((name) => ({ name, run: STEPS[name] }))
}
