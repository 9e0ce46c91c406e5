// The configuration in force, replaced while the gateway runs: on SIGHUP, or when the file or a file it names secrets
// in changes. A file that does not validate is refused whole; what needs a restart stays as it is, and the log says so.
import { unwatchFile, watchFile } from 'node:fs'
import type { Config } from './config.js'
import { configHash } from './config-hash.js'
import { ConfigError, type LoadedConfig, type Problem } from './load.js'
import { createReloadRecord, type ReloadState } from './reload-state.js'

/** What a reload puts in force; everything else needs a restart. */
export const RELOADED = [
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

export interface Change {
  readonly path: string
  readonly before: unknown
  readonly after: unknown
}

export interface ReloadReport {
  refused(problems: readonly Problem[]): void
  /**
   * `needRestart`: paths that changed in the file and are not in force. Values are never handed over, they may be
   * secret.
   */
  applied(
    change: {
      readonly changes: readonly Change[]
      readonly needRestart: readonly string[]
      readonly warnings: readonly Problem[]
      readonly hash: string
    },
  ): void
  failed(error: unknown): void
  /** The client secret is another one now; it is in force. */
  secretRotated(): void
  /** The file is valid and says what is in force already. */
  unchanged(): void
}

export interface LiveConfig {
  /** Always the whole of one file that validated. */
  current(): Config
  /** What came of the last reload. */
  state(): ReloadState
  /** Never rejects: what went wrong is reported. Reloads asked for meanwhile follow one after the other. */
  reload(): Promise<void>
  /** Looks at the files every so often (stat, so that a Kubernetes symlink swap counts). */
  watch(intervalMs: number): void
  close(): void
}

export interface LiveConfigOptions {
  readonly initial: LoadedConfig
  readonly load: () => LoadedConfig
  /** What must be there before a configuration can be in force; whatever it throws refuses the file. */
  readonly prepare?: (next: Config) => Promise<void>
  readonly report: ReloadReport
  readonly now?: () => Date
}

export function createLiveConfig(
  { initial, load, prepare = async () => {}, report, now }: LiveConfigOptions,
): LiveConfig {
  let running = initial.config
  let file = initial.config
  let queue = Promise.resolve()
  const record = createReloadRecord(now)
  const watcher = createWatcher(() => {
    live.reload().catch(() => {})
  })
  const reloadNow = async (): Promise<void> => {
    try {
      const next = load()
      watcher.follow(filesOf(next))
      const changes = RELOADED.flatMap((key) => differences(key, running[key], next.config[key]))
      const needRestart = changedElsewhere(file, next.config)
      if (changes.length > 0) await prepare(next.config)
      const secretRotated = running.entra.clientSecret !== next.config.entra.clientSecret
      running = withReloaded(running, next.config)
      file = next.config
      record.succeeded()
      if (secretRotated) report.secretRotated()
      else if (changes.length === 0 && needRestart.length === 0) return report.unchanged()
      if (changes.length > 0 || needRestart.length > 0) {
        report.applied({ changes, needRestart, warnings: next.warnings, hash: configHash(running) })
      }
    } catch (error) {
      record.failed(error)
      if (error instanceof ConfigError) report.refused(error.problems)
      else report.failed(error)
    }
  }
  const live: LiveConfig = {
    current: () => running,
    state: record.state,
    async reload() {
      queue = queue.then(reloadNow)
      await queue
    },
    watch(intervalMs) {
      watcher.start(intervalMs, filesOf(initial))
    },
    close: () => watcher.follow([]),
  }
  return live
}

function filesOf({ file, secretFiles, config }: LoadedConfig): readonly string[] {
  return [file, ...secretFiles, ...[...config.customSteps, ...config.images].map(({ path }) => path)]
}

/** Watches a list of files that may change; nothing before it is started. */
function createWatcher(changed: () => void) {
  let watched: readonly string[] = []
  let every: number | undefined
  const follow = (files: readonly string[]): void => {
    if (every === undefined) return
    for (const path of watched) if (!files.includes(path)) unwatchFile(path, changed)
    for (const path of files) {
      if (!watched.includes(path)) watchFile(path, { interval: every, persistent: false }, changed)
    }
    watched = files
  }
  return {
    follow,
    start(intervalMs: number, files: readonly string[]): void {
      every = intervalMs
      follow(files)
    },
  }
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
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
      differences(`${path}.${key}`, before[key], after[key])
    )
  }
  if (Array.isArray(before) && Array.isArray(after)) return rowDifferences(path, before, after)
  return [{ path, before, after }]
}

/** What is gone and what is new; the position of a row says nothing, since rows are independent. */
function rowDifferences(path: string, before: readonly unknown[], after: readonly unknown[]): Change[] {
  const text = (rows: readonly unknown[]) => new Set(rows.map((row) => JSON.stringify(row)))
  const [old, now] = [text(before), text(after)]
  const gone = before.filter((row) => !now.has(JSON.stringify(row))).map((row): Change => ({
    path,
    before: row,
    after: undefined,
  }))
  const added = after.filter((row) => !old.has(JSON.stringify(row))).map((row): Change => ({
    path,
    before: undefined,
    after: row,
  }))
  const moved = gone.length === 0 && added.length === 0
  return moved ? [{ path, before: 'another order', after: 'the same entries in a new order' }] : [...gone, ...added]
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
