// What the program runs on: the file's shape with defaults filled in and secrets read. Conventions:
// - a duration `x` in the file is `xMs` here, a number of milliseconds;
// - a key without default that was not given is `undefined`, never missing;
// - publicUrl, authorityHost and graphUrl are origins without a trailing slash; hosts and object IDs are in lower case;
// - cookieDomain has no leading dot; paths are absolute (relative ones count from the configuration file's directory).
import type { CustomStepFile } from '../core/pipeline/custom-step.js'
import type { ConfigSource } from './as-written.js'
import type { ImageFile } from './images.js'
import type { PolicyText } from './policy-text.js'
import type { ConfigFile } from './schema.js'
import type { Duration } from './schema-parts.js'

export type Config = Resolved<ConfigFile> & {
  readonly customSteps: readonly CustomStepFile[]
  /** The pictures that branding and applications name. */
  readonly images: readonly ImageFile[]
  /** What of the file is the policy, as it is written. */
  readonly policyText: PolicyText
  /** Absent where a configuration was not read from a file. */
  readonly source?: ConfigSource
}

type Resolved<T> = T extends Duration ? number
  : T extends readonly (infer Item)[] ? readonly Resolved<Item>[]
  : T extends object ? {
      readonly [K in keyof T as NameOf<K, T[K]>]-?: T extends Record<K, unknown> ? Resolved<T[K]>
        : Resolved<NonNullable<T[K]>> | undefined
    }
  : T

type NameOf<Key, Value> = Key extends string ? NonNullable<Value> extends Duration ? `${Key}Ms` : Key : never

/** What is known of a configuration before it is known to be right: anything may be missing. */
export type Draft = Partially<Config>

type Partially<T> = T extends readonly (infer Item)[] ? readonly (Partially<Item> | undefined)[]
  : T extends object ? { readonly [K in keyof T]?: Partially<T[K]> | undefined }
  : T
