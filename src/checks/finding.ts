// What a look beyond the configuration file found: one shape for `check`, which knows the place in the file, and for
// `doctor`, which prints all of them.
import { GatehouseError } from '../core/errors.js'

export interface Finding {
  readonly state: 'ok' | 'warn' | 'fail' | 'skipped'
  /** Stable, like a problem's of the configuration. */
  readonly code: string
  readonly says: string
  readonly remedy?: string
  /** The key it is about, like `groupMapping[2].groups[0]`. */
  readonly path?: string
}

/** One look. What could not be asked is a finding too. */
export type Check = () => Promise<readonly Finding[]>

/** An error of ours as a finding. @throws anything else */
export function failure(error: unknown, state: 'warn' | 'fail' | 'skipped', prefix = ''): Finding {
  if (!(error instanceof GatehouseError)) throw error
  return { state, code: error.code, says: `${prefix}${error.message}`, ...(error.remedy === undefined ? {} : { remedy: error.remedy }) }
}
