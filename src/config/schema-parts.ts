// The few shapes that the configuration is built of. A leaf names its kind (kinds/index.ts), which reads and judges it;
// `x-` keywords are for the loader and the reference page, and are left out of the published JSON schema.
import type { TObject, TProperties, TSchema, TUnsafe } from 'typebox'
import type { KindName } from './kinds/index.js'
import { Type } from './schema-types.js'

/**
 * A length of time as people write it, `15s 5m 8h 90d`: key `x` in the file becomes `xMs`, in milliseconds, in
 * `Config`.
 */
export type Duration = string & { readonly '~duration': true }

export interface LeafOptions {
  readonly default?: string
  readonly maxLength?: number
}
export interface DurationLimits {
  readonly default?: string
  readonly min: string
  readonly max: string
}

export function leaf(kind: KindName, description: string, options: LeafOptions = {}): TUnsafe<string> {
  return Type.Unsafe<string>({ type: 'string', minLength: 1, description, 'x-kind': kind, ...options })
}

export function duration(description: string, { min, max, ...options }: DurationLimits): TUnsafe<Duration> {
  return Type.Unsafe<Duration>({
    type: 'string',
    description,
    'x-kind': 'duration',
    'x-min': min,
    'x-max': max,
    ...options,
  })
}

export function choice<const Value extends string>(
  values: readonly Value[],
  description: string,
  options: { default?: Value } = {},
): TUnsafe<Value> {
  return Type.Unsafe<Value>({ type: 'string', enum: values, description, ...options })
}

export function flag(description: string, fallback: boolean): TUnsafe<boolean> {
  return Type.Unsafe<boolean>({ type: 'boolean', description, default: fallback })
}

export function count(
  description: string,
  options: { minimum: number, maximum: number, default: number },
): TUnsafe<number> {
  return Type.Unsafe<number>({ type: 'integer', description, ...options })
}

/** A number, or one word in its place. */
export function countOr<const Word extends string>(
  word: Word,
  description: string,
  options: { minimum: number, maximum: number, default: number },
): TUnsafe<number | Word> {
  return Type.Unsafe<number | Word>({ type: 'integer', 'x-word': word, description, ...options })
}

export interface ListOptions {
  readonly default?: readonly unknown[]
  readonly minItems?: number
}

export function list<Item extends TSchema>(items: Item, description: string, options: ListOptions = {}) {
  return Type.Array(items, { description, ...options })
}

/**
 * Keys with a default are always there in `Config`; `Type.Optional` ones may be undefined; all others must be given.
 */
export function section<Properties extends TProperties>(
  description: string,
  properties: Properties,
): TObject<Properties> {
  return Type.Object(properties, { description, additionalProperties: false })
}

/** A secret value: a key named `xFile` beside it may name the file that holds it (for a list: one a line). */
export function secret<Schema extends TSchema>(schema: Schema): Schema {
  return { ...schema, 'x-secret': true }
}
