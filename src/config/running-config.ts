// The configuration of a running process in two halves: what is read once when it starts, and what a reload replaces.
// The policy is the file's, or what was deployed in the database.
import { memoizeByConfig } from '../core/memoize-by-config.js'
import type { ReloadedConfig } from './config-changes.js'
import { asWritten, type ConfigSource } from './as-written.js'
import { configHash } from './config-hash.js'
import type { Config } from './config.js'
import { POLICY_KEYS } from './policy-text.js'

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
  /** The configuration file, whose policy is empty where the policy is in the database. */
  readonly file: () => Config
  /** Undefined: the policy is the file's, and always there. @throws what is missing */
  readonly requirePolicy: (() => void) | undefined
  /** Where the policy is in the database: which version plans are made by, and how a newer one is put in force here. */
  readonly deployed: DeployedPlans | undefined
}

export interface DeployedPlans {
  /** Hash of the policy in force here. */
  hash(): string
  /** Reads which version is in force, and puts it in force here. */
  catchUp(): Promise<void>
}

/** Both halves together. */
export function wholeConfig({ startup, current }: Pick<RunningConfig, 'startup' | 'current'>): Config {
  const reloaded = current()
  return { ...startup, ...reloaded, entra: { ...startup.entra, ...reloaded.entra } }
}

/** What stands in place of the policy of the file. */
export interface PolicyElsewhere {
  /** Undefined: there is none. */
  readonly policy: () => Config | undefined
  /** @throws GatehouseError `policy_missing`, `policy_unusable` */
  readonly requirePolicy: () => void
  readonly catchUp: () => Promise<void>
}

/** @param file the configuration in force, as one object */
export function runningConfig(file: () => Config, elsewhere?: PolicyElsewhere): RunningConfig {
  const current = elsewhere === undefined ? file : withPolicy(file, elsewhere.policy)
  return {
    startup: file(),
    current,
    shown: memoizeByConfig<ReloadableConfig, ReloadableConfig>(current, asWritten),
    hash: memoizeByConfig(current, configHash),
    file,
    requirePolicy: elsewhere?.requirePolicy,
    deployed: elsewhere && { hash: () => current().policyText.hash, catchUp: elsewhere.catchUp },
  }
}

/** A policy is loaded beside the file as it was then; the file may have been read again meanwhile. */
function withPolicy(file: () => Config, policy: () => Config | undefined): () => Config {
  let merged: { readonly file: Config, readonly policy: Config | undefined, readonly config: Config } | undefined
  return () => {
    const [base, over] = [file(), policy()]
    if (merged?.file !== base || merged.policy !== over) {
      merged = { file: base, policy: over, config: over === undefined ? base : configWithPolicy(base, over) }
    }
    return merged.config
  }
}

/** What a version of the policy brings. */
const DEPLOYED_KEYS = [...POLICY_KEYS, 'policyText', 'images'] as const

/** @param policy as it was loaded (policy-document.ts) */
export function configWithPolicy(file: Config, policy: Config): Config {
  const own = Object.fromEntries(DEPLOYED_KEYS.map((key) => [key, policy[key]]))
  return { ...file, ...own as Pick<Config, typeof DEPLOYED_KEYS[number]>, ...sourceOf(file, policy) }
}

/** Rows and rules stand in the policy; findings are those of both. */
function sourceOf({ source: file }: Config, { source }: Config): { readonly source?: ConfigSource } {
  if (source === undefined) return {}
  return { source: { ...source, warnings: [...file?.warnings ?? [], ...source.warnings] } }
}
