// auth_allowed: the optional gate of python-social-auth. Not in the default order, as upstream. Without the step the
// section `authAllowed` would have no effect, so the configuration refuses that.
import { GatehouseError } from '../errors.js'
import type { Step } from './pipeline.js'

export const authAllowed: Step = ({ claims, plan, settings }) => {
  const { emailDomains, guests } = settings.authAllowed
  if (!guests && claims.acct !== 0) { // guard: gate-for-guests
    throw new GatehouseError(
      'person_not_allowed',
      claims.acct === 1
        ? { detail: 'a guest, and authAllowed.guests is false' }
        : {
          detail: 'the ID token has no claim acct, so a guest cannot be detected',
          remedy: 'Add the optional claim `acct` to the ID token of the registration.',
        },
    )
  }
  if (
    emailDomains.length > 0 && !(plan.details?.emailVerified && emailDomains.includes(domainOf(plan.details.email)))
  ) {
    throw new GatehouseError('person_not_allowed', {
      detail: 'no verified e-mail address in authAllowed.emailDomains',
      remedy: 'An address is verified where the optional claim `xms_edov` is true.',
    })
  }
  return {}
}

/** Of exactly one `@`: with two, programs disagree which of them counts (CVE-2026-40574). */
function domainOf(email: string | null): string {
  const [, domain, more] = email?.split('@') ?? []
  return domain !== undefined && more === undefined ? domain.toLowerCase() : ''
}
