// social_uid: the person is tenant + object id. Never an e-mail, a UPN or a name: those are reused and can be set by
// others.
import { GatehouseError } from '../errors.js'
import type { Step } from './pipeline.js'

export const socialUid: Step = ({ claims }) => {
  if (!claims.tid || !claims.oid) { // guard: no-id-no-person
    throw new GatehouseError('id_token_claims', {
      detail: 'the id token has no tid or no oid',
      remedy: 'Ask for the scope `profile`; a personal account has no oid in your tenant.',
    })
  }
  return { uid: { tid: claims.tid.toLowerCase(), oid: claims.oid.toLowerCase() } }
}
