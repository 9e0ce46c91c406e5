// get_username: the name of a user to be made. A name that had to be cleaned, that somebody has or that is reserved
// takes a random suffix, so that no two people ever meet in one name.
import { GatehouseError } from '../errors.js'
import { cleanUsername, suffixedUsername, usernameKey } from '../user.js'
import type { Step, StepContext } from './pipeline.js'

const ATTEMPTS = 5

export const getUsername: Step = async (context) => {
  if (context.plan.user) return {}
  const source = context.plan.details?.usernameSource ?? ''
  const cleaned = cleanUsername(source)
  if (cleaned !== '' && cleaned === source && await isFree(cleaned, context)) return { username: cleaned }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const username = suffixedUsername(cleaned)
    if (await isFree(username, context)) return { username }
  }
  throw new GatehouseError('username_unavailable', { detail: `no free username for ${JSON.stringify(source)}` })
}

async function isFree(username: string, { settings, lookups }: StepContext): Promise<boolean> {
  const key = usernameKey(username)
  return !settings.reservedUsernames.some((reserved) => usernameKey(reserved) === key) && !await lookups.usernameTaken(key)
}
