// What the page says after a fresh sign-in that did not succeed, and where it leads.
import type { GatehouseError } from '../../core/errors.js'
import type { ErrorContext } from '../errors.js'

/** @param returnTo the page that needed the sign-in: it starts another one */
export function stepUpContext(error: GatehouseError, returnTo: string, publicUrl: string): ErrorContext {
  if (error.code === 'step_up_other_person') {
    const signOut = `${publicUrl}/oauth2/sign_out?${new URLSearchParams({ rd: returnTo })}`
    return { retryUrl: returnTo, links: [{ text: 'Sign out first', url: signOut }] }
  }
  return error.code === 'step_up_unmet' ? { retryUrl: returnTo, rows: missing(error) } : { retryUrl: returnTo }
}

function missing({ facts }: GatehouseError): ErrorContext['rows'] {
  const { authenticatedAt, acrs } = facts
  if (typeof acrs === 'string') {
    return [['Microsoft Entra ID gave', `a sign-in without the authentication context ${acrs} (the claim acrs)`]]
  }
  const given = typeof authenticatedAt === 'string'
    ? `a sign-in of ${authenticatedAt}, before you were asked`
    : 'no time of your sign-in (the claim auth_time)'
  return [['Microsoft Entra ID gave', given]]
}
