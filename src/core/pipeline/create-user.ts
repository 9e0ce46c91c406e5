// create_user: whoever is nobody yet becomes a new, active user under the name that get_username chose.
import type { Step } from './pipeline.js'

export const createUser: Step = ({ plan }) => plan.user ? {} : { origin: 'created' } // guard: strangers-alone-made
