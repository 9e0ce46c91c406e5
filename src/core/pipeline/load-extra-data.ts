// load_extra_data: claims of interest that later requests need (sign-out). Upstream stores the tokens here;
// Gatehouse never does.
import type { IdentityClaims } from '../identity.js'
import type { Step } from './pipeline.js'

export const loadExtraData: Step = ({ claims }) => ({
  extraData: {
    sid: claims.sid ?? null,
    loginHint: claims.login_hint ?? null, // guard: login-hint-kept
    guest: claims.acct === undefined ? null : claims.acct === 1,
    upn: principalName(claims),
  },
})

/** Without the claim `upn` a member's `preferred_username` is the principal name; a guest's is the one at home. */
function principalName({ upn, preferred_username: preferred, acct }: IdentityClaims): string | null {
  return (upn || undefined) ?? ((acct !== 1 && preferred) || null) // guard: adv-upn-not-at-home
}
