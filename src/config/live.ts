// The configuration in force, replaced while the gateway runs: on SIGHUP, or when the file or a file it names secrets in
// changes. A file that does not validate is refused whole; what needs a restart stays as it is, and the log says so.
import { unwatchFile, watchFile } from 'node:fs'
import type { Config } from './config.js'
import { ConfigError, type LoadedConfig, type Problem } from './load.js'

/** What a reload puts in force; everything else needs a restart. */
export const RELOADED = ['groupMapping', 'requireMappedGroup', 'username', 'reservedUsernames', 'associateByEmail', 'authAllowed', 'defaultGroups', 'pipeline', 'access', 'headers'] as const satisfies readonly (keyof Config)[]

export interface Change { readonly path: string, readonly before: unknown, readonly after: unknown }

export interface ReloadReport {
  refused(problems: readonly Problem[]): void
  /** `needRestart`: paths that changed in the file and are not in force. Values are never handed over, they may be secret. */
  applied(change: { readonly changes: readonly Change[], readonly needRestart: readonly string[], readonly hash: string }): void
  failed(error: unknown): void
  /** The file is valid and says what is in force already. */
  unchanged(): void
}

export interface LiveConfig {
  /** Always the whole of one file that validated. */
  current(): Config
  reload(): void
  /** Looks at the files every so often (stat, so that a Kubernetes symlink swap counts). */
  watch(intervalMs: number): void
  close(): void
}

export function createLiveConfig(initial: LoadedConfig, load: () => LoadedConfig, report: ReloadReport): LiveConfig {
  let running = initial.config
  let file = initial.config
  let watched: string[] = []
  const live: LiveConfig = {
    current: () => running,
    reload() {
      try {
        const next = load()
        const changes = RELOADED.flatMap((key) => differences(key, running[key], next.config[key]))
        const needRestart = changedElsewhere(file, next.config)
        file = next.config
        if (changes.length === 0 && needRestart.length === 0) return report.unchanged()
        running = withReloaded(running, next.config)
        report.applied({ changes, needRestart, hash: next.hash })
      } catch (error) {
        if (error instanceof ConfigError) report.refused(error.problems)
        else report.failed(error)
      }
    },
    watch(intervalMs) {
      watched = [initial.file, ...initial.secretFiles]
      for (const path of watched) watchFile(path, { interval: intervalMs, persistent: false }, live.reload)
    },
    close() {
      for (const path of watched) unwatchFile(path, live.reload)
    },
  }
  return live
}

function withReloaded(running: Config, next: Config): Config {
  const reloaded = Object.fromEntries(RELOADED.map((key) => [key, next[key]])) as Pick<Config, typeof RELOADED[number]>
  // A secret that rotates in its file is taken at once: the old one may be about to expire.
  return { ...running, ...reloaded, entra: { ...running.entra, clientSecret: next.entra.clientSecret } }
}

function changedElsewhere(before: Config, after: Config): string[] {
  return (Object.keys(after) as (keyof Config)[])
    .filter((key) => !(RELOADED as readonly string[]).includes(key))
    .flatMap((key) => differences(key, before[key], after[key]).map((change) => change.path))
    .filter((path) => path !== 'entra.clientSecret')
    .map((path) => path.replace(/Ms$/, '')) // as the key is written
}

/** The deepest places where two values differ; lists of rows are compared as wholes, row by row. */
export function differences(path: string, before: unknown, after: unknown): Change[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (isMap(before) && isMap(after)) {
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => differences(`${path}.${key}`, before[key], after[key]))
  }
  if (Array.isArray(before) && Array.isArray(after)) return rowDifferences(path, before, after)
  return [{ path, before, after }]
}

/** What is gone and what is new; the position of a row says nothing, since rows are independent. */
function rowDifferences(path: string, before: readonly unknown[], after: readonly unknown[]): Change[] {
  const text = (rows: readonly unknown[]) => new Set(rows.map((row) => JSON.stringify(row)))
  const [old, now] = [text(before), text(after)]
  const gone = before.filter((row) => !now.has(JSON.stringify(row))).map((row): Change => ({ path, before: row, after: undefined }))
  const added = after.filter((row) => !old.has(JSON.stringify(row))).map((row): Change => ({ path, before: undefined, after: row }))
  const moved = gone.length === 0 && added.length === 0
  return moved ? [{ path, before: 'another order', after: 'the same entries in a new order' }] : [...gone, ...added]
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
