// social_user: the user this person already is. A deactivated one is refused here, before anything is touched.
import { GatehouseError } from '../errors.js'
import type { Step } from './pipeline.js'

export const socialUser: Step = async ({ plan, lookups }) => {
  if (!plan.uid) return {}
  const user = await lookups.userByIdentity(plan.uid.tid, plan.uid.oid)
  if (!user) return {}
  if (!user.isActive) { // guard: inactive-refused
    throw new GatehouseError('user_inactive', {
      detail: `${user.username} is deactivated`,
      facts: { username: user.username },
      remedy: `To let them in again: gatehouse users activate ${user.username}`,
    })
  }
  return { user, origin: 'known' } // guard: known-user-found
}
