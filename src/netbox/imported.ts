// The content of a NetBox file of either kind, from which the output is printed.
import type { Cloud } from '../entra/clouds.js'
import type { Row } from './rows.js'

export interface Imported {
  readonly rows: readonly Row[]
  /** Values for YAML: an id, or `${NAME}`; undefined where the file has none. */
  readonly tenantId?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly cloud?: Cloud | undefined
  readonly defaultGroups?: readonly string[] | undefined
  /** In which ways the order of the steps is another; undefined where the file has no order. */
  readonly pipelineDiffers?: readonly string[] | undefined
  /** Durations of `session`, as LOGIN_TIMEOUT and LOGIN_PERSISTENCE mean them. */
  readonly sessionTimes?: SessionTimes | undefined
  /** NetBox's own host, where ALLOWED_HOSTS names exactly one. */
  readonly netboxHost?: string | undefined
}

export interface SessionTimes {
  readonly idleTimeout?: string
  readonly absoluteTimeout?: string
}
