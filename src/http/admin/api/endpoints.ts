// Every endpoint of the API. What is not in this list does not exist: not for clients, not in the document.
import { audit } from './audit.js'
import type { Endpoint } from './endpoint.js'
import { me } from './me.js'

export const ENDPOINTS: readonly Endpoint[] = [
  me,
  audit,
]
