import { ConfigError, type ConfigProblem } from '../../src/config/load.js'

/** What is found wrong in a configuration while it is loaded. */
export function problemsOf(load: () => unknown): readonly ConfigProblem[] {
  try {
    load()
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}
