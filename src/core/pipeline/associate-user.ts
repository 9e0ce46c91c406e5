// associate_user: tenant and object id are recorded for the user, once. Two first logins at the same time meet in the
// transaction, where the unique pair lets one win and makes the other run its steps again.
import type { Step } from './pipeline.js'

export const associateUser: Step = ({ plan }) => ({ newAssociation: plan.origin !== 'known' })
