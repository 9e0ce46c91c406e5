// social_details: maps claims of the ID token to columns of the users table.
import type { IdentityClaims } from '../identity.js'
import type { PipelineSettings, Step } from './pipeline.js'

export const socialDetails: Step = ({ claims, settings }) => ({
  details: {
    email: claims.email ?? null,
    emailVerified: emailVerified(claims),
    name: claims.name ?? null,
    givenName: claims.given_name ?? null, // guard: details-from-token
    familyName: claims.family_name ?? null,
    usernameSource: usernameSource(claims, settings),
  },
})

/**
 * The claim `xms_edov` with true, "1" or 1: the owner of the domain verified the address. Any other value is no proof.
 */
export function emailVerified(claims: IdentityClaims): boolean {
  return claims.email !== undefined && (claims.xms_edov === true || claims.xms_edov === '1' || claims.xms_edov === 1)
}

/**
 * What the name of a new user is made of. An address that Entra ID does not call verified and a display name are
 * whatever a tenant's administrator, or the person, wrote: applications would mistake the person for another user. So
 * they count only where the operator accepts them with `usernameUnverified`.
 */
function usernameSource(claims: IdentityClaims, { username, usernameUnverified }: PipelineSettings): string {
  // guard: adv-unverified-no-username
  const email = usernameUnverified || emailVerified(claims) ? claims.email : undefined
  const name = usernameUnverified ? claims.name : undefined // guard: adv-display-name-no-username
  const mutable = usernameUnverified ? claims.preferred_username : undefined // guard: adv-guest-address-no-username
  const sources = {
    upn: [claims.upn, claims.preferred_username, email],
    email: [email, claims.upn, mutable],
    name: [name, claims.upn, claims.preferred_username, email], // guard: username-source
  }
  return sources[username].find((each) => each !== undefined && each !== '') ?? claims.oid // guard: guest-without-upn
}
