// user_details: names follow the id token at every login. As upstream, the username, the e-mail, the flags and activity
// are protected: an e-mail is set when the user is made and stays, since applications know people by it.
import type { Step } from './pipeline.js'

export const userDetails: Step = ({ plan }) => {
  if (!plan.details) return {}
  const { name, givenName, familyName } = plan.details
  return { profile: { name, givenName, familyName } } // guard: username-kept, email-kept
}
