// The differences between two configurations: which keys changed, and which of them a reload applies.
import type { Config } from './config.js'

/** Keys that a reload applies; every other key needs a restart. */
export const RELOADED_KEYS = [
  'groupMapping',
  'requireMappedGroup',
  'username',
  'usernameUnverified',
  'reservedUsernames',
  'associateByEmail',
  'authAllowed',
  'defaultGroups',
  'pipeline',
  'customSteps',
  'access',
  'headers',
  'applications',
  'branding',
  'images',
] as const satisfies readonly (keyof Config)[]

/** The part of a configuration that a reload replaces. */
export type ReloadedConfig = Pick<Config, typeof RELOADED_KEYS[number]>

export interface ConfigChange {
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

/** The changes that a reload applies. */
export function reloadedChanges(before: Config, after: Config): ConfigChange[] {
  return RELOADED_KEYS.flatMap((key) => differences(key, before[key], after[key]))
}

/** Paths of the keys that changed and need a restart, as the file writes them; without values, which may be secret. */
export function changesThatNeedRestart(before: Config, after: Config): string[] {
  return (Object.keys(after) as (keyof Config)[])
    .filter((key) => !(RELOADED_KEYS as readonly string[]).includes(key))
    .flatMap((key) => differences(key, before[key], after[key]).map((change) => change.path))
    .filter((path) => path !== 'entra.clientSecret')
    .map((path) => path.replace(/Ms$/, '')) // `idleMs` in Config is `idle` in the file
}

/** The innermost keys whose values differ. Lists are compared entry by entry. */
function differences(path: string, before: unknown, after: unknown): ConfigChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (isMap(before) && isMap(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
      differences(`${path}.${key}`, before[key], after[key])
    )
  }
  if (Array.isArray(before) && Array.isArray(after)) return listDifferences(path, before, after)
  return [{ path, before, after }]
}

/** Removed and added entries. The index of an entry is left out, since entries do not depend on their order. */
function listDifferences(path: string, before: readonly unknown[], after: readonly unknown[]): ConfigChange[] {
  const serialized = (entries: readonly unknown[]) => new Set(entries.map((entry) => JSON.stringify(entry)))
  const [old, current] = [serialized(before), serialized(after)]
  const removed = before.filter((entry) => !current.has(JSON.stringify(entry)))
    .map((entry): ConfigChange => ({ path, before: entry, after: undefined }))
  const added = after.filter((entry) => !old.has(JSON.stringify(entry)))
    .map((entry): ConfigChange => ({ path, before: undefined, after: entry }))
  if (removed.length === 0 && added.length === 0) {
    return [{ path, before: 'another order', after: 'the same entries in a new order' }]
  }
  return [...removed, ...added]
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
