import { GatehouseError } from '../../src/core/errors.js'
import { parseTargetUrl, type Target } from '../../src/core/target.js'

/** What is asked of `app.test`; undefined where the path is malformed. */
export function targetOf(path: string): Target | undefined {
  try {
    return parseTargetUrl(`https://app.test${path}`, 'GET')
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'target_malformed') return undefined
    throw error
  }
}
