// The differences between two configurations: which keys changed, and which of them a reload applies.
import { differences, type Difference } from '../core/differences.js'
import { asWritten } from './as-written.js'
import type { Config } from './config.js'
import { POLICY_KEYS } from './policy-text.js'

/** Keys that a reload applies; every other key needs a restart. */
export const RELOADED_KEYS = [...POLICY_KEYS, 'customSteps', 'images'] as const satisfies readonly (keyof Config)[]

/** The part of a configuration that a reload replaces. */
export type ReloadedConfig = Pick<Config, typeof RELOADED_KEYS[number] | 'policyText'>

export type ConfigChange = Difference

/** The changes that a reload applies, with values as people are shown them. */
export function reloadedChanges(before: Config, after: Config): ConfigChange[] {
  const shown = { before: asWritten(before), after: asWritten(after) }
  return RELOADED_KEYS.flatMap((key) =>
    differences(key, before[key], after[key], { before: shown.before[key], after: shown.after[key] })
  )
}

/** Paths of the keys that changed and need a restart, as the file writes them; without values, which may be secret. */
export function changesThatNeedRestart(before: Config, after: Config): string[] {
  return (Object.keys(after) as (keyof Config)[])
    .filter((key) => key !== 'source' && key !== 'policyText' && !(RELOADED_KEYS as readonly string[]).includes(key))
    .flatMap((key) => differences(key, before[key], after[key]).map((change) => change.path))
    .filter((path) => path !== 'entra.clientSecret')
    .map((path) => path.replace(/Ms$/, '')) // `idleMs` in Config is `idle` in the file
}
