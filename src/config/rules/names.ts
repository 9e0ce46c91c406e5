// Usernames that people, or the administrators of other tenants, may choose.
import type { Rule } from './rule.js'

export const usernamesVerified: Rule = ({ username, usernameUnverified }, report) => {
  if (username === 'email' && usernameUnverified === false) { // guard: adv-username-email-warned
    report.warn(
      'username',
      'username_email_verified',
      'username: email takes verified addresses alone: without xms_edov new people are named by UPN or object ID.',
      'Register the optional claims email, xms_edov and upn in Entra ID, or use username: upn.',
    )
  }
  if (username === 'name' && usernameUnverified === false) { // guard: adv-username-name-warned
    report.warn(
      'username',
      'username_name_ignored',
      'username: name has no effect, since people choose display names: new people are named as by username: upn.',
      'Use username: upn; usernameUnverified: true, if you answer for every display name in the tenant.',
    )
  }
  // guard: adv-username-unverified-warned
  if ((username === 'email' || username === 'name') && usernameUnverified === true) {
    const what = username === 'email' ? 'an unverified e-mail address' : 'a display name'
    report.warn(
      'username',
      'username_unverified',
      `${what} becomes a username: a user who can set it can take the identity of another user in applications.`,
      'Use username: upn, and take usernameUnverified away.',
    )
  }
}
