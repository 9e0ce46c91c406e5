// social_details: what the id token says of the person, in the users table's words.
import type { IdentityClaims } from '../identity.js'
import type { Step } from './pipeline.js'

export const socialDetails: Step = ({ claims, settings }) => ({
  details: {
    email: claims.email ?? null,
    emailVerified: emailVerified(claims),
    name: claims.name ?? null,
    givenName: claims.given_name ?? null,
    familyName: claims.family_name ?? null,
    usernameSource: usernameSource(claims, settings.username),
  },
})

/** Entra says that the domain's owner verified the address: `xms_edov`, as true, "1" or 1. Anything else is no proof. */
export function emailVerified(claims: IdentityClaims): boolean {
  return claims.email !== undefined && (claims.xms_edov === true || claims.xms_edov === '1' || claims.xms_edov === 1)
}

function usernameSource(claims: IdentityClaims, source: 'upn' | 'email' | 'name'): string {
  const chosen = source === 'email' ? claims.email : source === 'name' ? claims.name : claims.upn
  return chosen ?? claims.preferred_username ?? claims.email ?? claims.oid
}
