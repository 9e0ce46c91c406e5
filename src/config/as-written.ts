// The policy as it is shown to people: what came out of a variable may be a secret in the wrong place, so the text of
// the file stands in its place, as `${NAME}`.
import type { Config } from './config.js'
import type { ReloadedConfig } from './config-changes.js'
import { policyKeyOf } from './policy-text.js'
import type { ConfigProblem, Position } from './problem.js'

/** What is known of the file that a configuration comes from. */
export interface ConfigSource {
  readonly file: string
  /** The text of each value that contains a variable, by its key, like `access.rules[2].hosts[0]`. */
  readonly variables: ReadonlyMap<string, string>
  /** Of each row of groupMapping and of each access rule. */
  readonly positions: ReadonlyMap<string, Position>
  readonly warnings: readonly ConfigProblem[]
}

/** Keys that `positions` has. */
export const POSITIONED_KEY = /^(?:groupMapping\[\d+\]|access\.rules\[\d+\]|access\.default)$/

/** The same values, with the text of the file where a variable was used. Never for decisions. */
export function asWritten<Values extends Partial<ReloadedConfig> & Pick<Config, 'source'>>(values: Values): Values {
  const variables = [...values.source?.variables ?? []]
  const keys = new Set(variables.flatMap(([path]) => policyKeyOf(path) ?? []))
  if (keys.size === 0) return values
  const written = { ...values, ...Object.fromEntries([...keys].map((key) => [key, structuredClone(values[key])])) }
  for (const [path, text] of variables) {
    if (policyKeyOf(path) !== undefined) replaceText(written, partsOf(path), text) // guard: admin-policy-variables
  }
  return written
}

function partsOf(path: string): readonly string[] {
  return path.split(/[.[\]]+/).filter((part) => part !== '')
}

function replaceText(within: object, parts: readonly string[], text: string): void {
  const last = parts.at(-1) ?? ''
  let at: unknown = within
  for (const part of parts.slice(0, -1)) at = isObject(at) ? at[part] : undefined
  if (isObject(at) && typeof at[last] === 'string') at[last] = text
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
