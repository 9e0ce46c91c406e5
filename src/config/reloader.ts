// Replaces the configuration while the gateway runs: on SIGHUP, or when the configuration file or a file that it names
// changes. An invalid file is refused as a whole. Keys that need a restart keep their values, and the log names them.
import type { Config } from './config.js'
import {
  changesThatNeedRestart,
  reloadedChanges,
  RELOADED_KEYS,
  type ConfigChange,
  type ReloadedConfig,
} from './config-changes.js'
import { configHash } from './config-hash.js'
import { createFileWatcher } from './file-watcher.js'
import { ConfigError, type ConfigProblem } from './load.js'
import type { LoadedFile } from './loading-thread.js'
import { createReloadRecord, type ReloadState } from './reload-state.js'

export interface ReloadReporter {
  refused(problems: readonly ConfigProblem[]): void
  /** `needRestart`: paths that changed in the file and are not in force; without values, which may be secret. */
  applied(
    change: {
      readonly changes: readonly ConfigChange[]
      readonly needRestart: readonly string[]
      readonly warnings: readonly ConfigProblem[]
      readonly hash: string
    },
  ): void
  failed(error: unknown): void
  /** The client secret changed; the new one is in force. */
  secretRotated(): void
  /** The file is valid and equals the configuration in force. */
  unchanged(): void
}

export interface ConfigReloader {
  /** The configuration in force. It never mixes two files. */
  current(): Config
  /** The result of the last reload. */
  state(): ReloadState
  /** Never rejects: failures are reported. Concurrent calls run one after the other. */
  reload(): Promise<void>
  /** Reloads when a file changes. */
  watch(intervalMs: number): void
  close(): void
}

export interface PreparedChange {
  /** Only the client secret differs. */
  readonly secretOnly: boolean
}

export interface ConfigReloaderOptions {
  readonly initial: LoadedFile
  readonly load: () => LoadedFile | Promise<LoadedFile>
  /** Runs before the next configuration is in force; if it throws, the file is refused. */
  readonly prepare?: (next: Config, change: PreparedChange) => Promise<void>
  /** The configuration that was prepared is in force from now on. */
  readonly committed?: (next: Config) => void
  readonly report: ReloadReporter
  readonly now?: () => Date
}

export function createConfigReloader(
  { initial, load, prepare = async () => {}, committed = () => {}, report, now }: ConfigReloaderOptions,
): ConfigReloader {
  let running = initial.config
  let file = initial.config
  let queue = Promise.resolve()
  const record = createReloadRecord(now)
  const reload = async (): Promise<void> => {
    queue = queue.then(reloadNow)
    await queue
  }
  const watcher = createFileWatcher(() => {
    reload().catch(() => {})
  })
  const reloadNow = async (): Promise<void> => {
    try {
      const next = await load()
      watcher.follow(filesOf(next))
      const changes = reloadedChanges(running, next.config)
      const needRestart = changesThatNeedRestart(file, next.config)
      const secretRotated = running.entra.clientSecret !== next.config.entra.clientSecret
      const inForce = withReloaded(running, next.config)
      const changed = changes.length > 0 || secretRotated || isMoved(running, next.config)
      if (changed) await prepare(inForce, { secretOnly: changes.length === 0 })
      running = inForce
      file = next.config
      if (changed) committed(running)
      record.succeeded()
      if (secretRotated) report.secretRotated()
      else if (changes.length === 0 && needRestart.length === 0) return report.unchanged()
      if (changes.length > 0 || needRestart.length > 0) {
        report.applied({ changes, needRestart, warnings: next.warnings, hash: configHash(running) })
      }
    } catch (error) {
      record.failed(error) // guard: adv-reload-refused
      if (error instanceof ConfigError) report.refused(error.problems)
      else report.failed(error)
    }
  }
  return {
    current: () => running,
    state: record.state,
    reload,
    watch: (intervalMs) => watcher.start(intervalMs, filesOf(initial)),
    close: () => watcher.follow([]),
  }
}

function filesOf({ file, secretFiles, config }: LoadedFile): readonly string[] {
  return [file, ...secretFiles, ...[...config.customSteps, ...config.images].map(({ path }) => path)]
}

/** Rows, rules, texts or findings stand elsewhere or are others: pages show them. */
function isMoved({ source: before }: Config, { source: after }: Config): boolean {
  return JSON.stringify(entriesOf(before)) !== JSON.stringify(entriesOf(after)) // guard: admin-policy-positions
}

function entriesOf(source: Config['source']) {
  return source && { ...source, variables: [...source.variables], positions: [...source.positions] }
}

function withReloaded(running: Config, next: Config): Config {
  const reloaded = Object.fromEntries(
    [...RELOADED_KEYS, 'policyText' as const].map((key) => [key, next[key]]),
  ) as ReloadedConfig
  // A rotated client secret needs no restart: the previous one may be about to expire.
  const source = next.source === undefined ? {} : { source: next.source }
  return { ...running, ...reloaded, ...source, entra: { ...running.entra, clientSecret: next.entra.clientSecret } }
}
