// The configuration of a running process in two halves: what is read once when it starts, and what a reload replaces.
import { memoizeByConfig } from '../core/memoize-by-config.js'
import type { ReloadedConfig } from './config-changes.js'
import { asWritten } from './as-written.js'
import { configHash } from './config-hash.js'
import type { Config } from './config.js'

/** The half that is read on every use. A client secret that rotates in its file is in force immediately. */
export type ReloadableConfig =
  & ReloadedConfig
  & Pick<Config, 'source'>
  & { readonly entra: Pick<Config['entra'], 'clientSecret'> }

/** The half that is read once, when the process starts. */
export type StartupConfig = Omit<Config, keyof ReloadedConfig | 'entra' | 'source'> & {
  readonly entra: Omit<Config['entra'], 'clientSecret'>
}

/** The configuration of a running process. */
export interface RunningConfig {
  readonly startup: StartupConfig
  readonly current: () => ReloadableConfig
  /** The same for people to read: with the text of the file where a variable was used (as-written.ts). */
  readonly shown: () => ReloadableConfig
  /** What this replica announces to the others; the same for the same configuration in force (config-hash.ts). */
  readonly hash: () => string
}

/** @param current the configuration in force, as one object */
export function runningConfig(current: () => Config): RunningConfig {
  return {
    startup: current(),
    current,
    shown: memoizeByConfig<ReloadableConfig, ReloadableConfig>(current, asWritten),
    hash: memoizeByConfig(current, configHash),
  }
}
