// load_extra_data: claims of interest that later requests need (sign-out). Upstream stores the tokens here; we never do.
import type { Step } from './pipeline.js'

export const loadExtraData: Step = ({ claims }) => ({
  extraData: {
    sid: claims.sid ?? null,
    loginHint: claims.login_hint ?? null,
    guest: claims.acct === undefined ? null : claims.acct === 1,
  },
})
