// The steps, in python-social-auth's order and under its names. A new step is one file beside this one, one line here,
// and one in ORDER where it needs others.
import { GatehouseError } from '../errors.js'
import { authAllowed } from './auth-allowed.js'
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

/** Steps that run where the configuration names them. */
export const OPTIONAL_STEPS = { auth_allowed: authAllowed } as const satisfies Record<string, Step>

export type StepName = keyof typeof STEPS | keyof typeof OPTIONAL_STEPS

/** What each step builds on; what is not named may stand anywhere. azuread_map_groups is always last. */
export const ORDER: Readonly<Partial<Record<StepName, readonly StepName[]>>> = {
  social_user: ['social_uid'],
  get_username: ['social_details', 'social_user'],
  associate_by_email: ['social_details', 'social_user'],
  create_user: ['get_username', 'associate_by_email'],
  associate_user: ['create_user'],
  user_details: ['social_details'],
  auth_allowed: ['social_details'],
}

/** Steps that a pipeline may do without. */
export const DISPENSABLE: readonly StepName[] = ['associate_by_email', 'user_default_groups_handler', 'auth_allowed']

/**
 * The steps of a pipeline that the configuration has checked. @param own those that are the operator's, by their names
 */
export function namedSteps(names: readonly string[], own: readonly NamedStep[] = []): NamedStep[] {
  const built = Object.entries({ ...STEPS, ...OPTIONAL_STEPS }).map(([name, run]): NamedStep => ({ name, run }))
  const all = new Map([...built, ...own].map((step) => [step.name, step]))
  return names.map((name) => {
    const step = all.get(name)
    if (!step) throw new GatehouseError('internal', { detail: `no step is named ${name}` })
    return step
  })
}
