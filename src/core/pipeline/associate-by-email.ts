// associate_by_email: does nothing unless `associateByEmail` enables it. Then it links the person to the one eligible
// user with the same verified address; several such users refuse the login. Linking on an unverified address is the
// nOAuth takeover.
import { GatehouseError } from '../errors.js'
import type { Step } from './pipeline.js'

export const associateByEmail: Step = async ({ plan, settings, lookups }) => {
  // guard: linking-armed, known-not-linked, verified-alone-linked
  if (!settings.associateByEmail || plan.user || !plan.details?.email || !plan.details.emailVerified) return {}
  const [user, second] = await lookups.usersEligibleForEmail(plan.details.email)
  if (second) { // guard: several-refused
    throw new GatehouseError('email_ambiguous', {
      detail: 'several active users without an Entra identity have this e-mail address',
      remedy: 'Give all but one of them another e-mail address, or deactivate them.',
    })
  }
  return user ? { user, origin: 'linked' } : {}
}
