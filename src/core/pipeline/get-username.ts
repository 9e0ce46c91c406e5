// get_username: the name of a user to be made. A name that another person has, or that is reserved, takes a suffix made
// of tenant and object ID: two people never share a name, and one person gets the same name in every database.
import { GatehouseError } from '../errors.js'
import { usernameCandidates, usernameKey } from '../user.js'
import type { Step, StepContext } from './pipeline.js'

export const getUsername: Step = async (context) => {
  const { plan, claims } = context
  if (plan.user) return {} // guard: adv-username-kept
  const source = plan.details?.usernameSource ?? ''
  for (const username of usernameCandidates(source, plan.uid ?? claims)) {
    if (await isFree(username, context)) return { username }
  }
  throw new GatehouseError('username_unavailable', { // guard: username-given-up
    detail: `every username that can be made of ${JSON.stringify(source)} is taken or reserved`,
    remedy: 'Free a name that is no longer needed: gatehouse users release NAME --yes --now.',
  })
}

async function isFree(username: string, { settings, lookups }: StepContext): Promise<boolean> {
  const key = usernameKey(username)
  const reserved = settings.reservedUsernames.some((each) => usernameKey(each) === key)
  return !reserved && !await lookups.usernameTaken(key) // guard: username-free
}
