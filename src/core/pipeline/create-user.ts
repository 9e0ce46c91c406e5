// create_user: an unknown person becomes a new, active user with the name that get_username chose.
import type { Step } from './pipeline.js'

export const createUser: Step = ({ plan }) => plan.user ? {} : { origin: 'created' } // guard: unlinked-users-created
