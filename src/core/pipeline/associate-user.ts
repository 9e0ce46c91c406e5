// associate_user: records tenant and object ID for the user, once. Of two concurrent first logins the unique constraint
// lets one commit, and the other one runs its steps again.
import type { Step } from './pipeline.js'

export const associateUser: Step = ({ plan }) => ({ newAssociation: plan.origin !== 'known' })
