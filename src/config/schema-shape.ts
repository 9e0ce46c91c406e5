// The schema as plain data, for the code that walks it.
import type { KindName } from './kinds/index.js'

export interface Shape {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly description?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Shape>>
  /** As TypeBox has it: every key that is not Type.Optional, with or without a default. */
  readonly required?: readonly string[] | undefined
  readonly items?: Shape
  readonly anyOf?: readonly Shape[]
  readonly enum?: readonly (string | boolean)[]
  readonly minItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly 'x-kind'?: KindName
  readonly 'x-min'?: string
  readonly 'x-max'?: string
  readonly 'x-secret'?: boolean
  /** What may stand in place of the number. */
  readonly 'x-word'?: string
}

/** The key in `Config`: durations have their unit in the name. */
export function resolvedName(name: string, shape: Shape): string {
  return shape['x-kind'] === 'duration' ? `${name}Ms` : name
}

/** A section whose keys all have defaults need not be written. */
export function mustBeGiven(section: Shape, name: string): boolean {
  const shape = section.properties?.[name]
  if (!shape || !section.required?.includes(name) || shape.default !== undefined) return false
  return shape.type !== 'object' || Object.keys(shape.properties ?? {}).some((inner) => mustBeGiven(shape, inner))
}

/** The keys that may hold a secret's file. */
export function twinOf(name: string): string {
  return `${name}File`
}

export function keysOf(section: Shape): string[] {
  return Object.entries(section.properties ?? {}).flatMap(([name, shape]) =>
    shape['x-secret'] ? [name, twinOf(name)] : [name]
  )
}

export function propertyOf(section: Shape, name: string): Shape | undefined {
  return section.properties && Object.hasOwn(section.properties, name) ? section.properties[name] : undefined
}
