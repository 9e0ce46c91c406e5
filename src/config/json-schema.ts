// config/gatehouse.schema.json: the schema as editors understand it. Wherever the loader replaces variables, the editor
// must accept them, and every secret has its `...File` twin.
import { KINDS } from './kinds/index.js'
import type { Kind } from './kinds/kind.js'
import { configSchema } from './schema.js'
import { mustBeGiven, twinOf, type Shape } from './schema-shape.js'

type Json = Record<string, unknown>

export function configJsonSchema(): Json {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Gatehouse configuration',
    ...sectionSchema(configSchema as Shape),
  }
}

function schemaOf(shape: Shape): Json {
  if (shape.anyOf) return { ...annotations(shape), anyOf: shape.anyOf.map(schemaOf) }
  if (shape.type === 'object') return sectionSchema(shape)
  if (shape.type === 'array') {
    return {
      ...annotations(shape),
      type: 'array',
      items: shape.items && schemaOf(shape.items),
      ...only(shape, ['minItems']),
    }
  }
  return leafSchema(shape)
}

function sectionSchema(shape: Shape): Json {
  const properties: Record<string, Json> = {}
  const required: string[] = []
  /** Of each secret: its value or its file. */
  const allOf: Json[] = []
  for (const [name, property] of Object.entries(shape.properties ?? {})) {
    properties[name] = schemaOf(property)
    const given = mustBeGiven(shape, name)
    if (property['x-secret']) {
      properties[twinOf(name)] = { type: 'string', minLength: 1, description: twinDescription(name, property) }
      const either = [{ required: [name] }, { required: [twinOf(name)] }]
      allOf.push(given ? { oneOf: either } : { not: { required: [name, twinOf(name)] } })
    } else if (given) required.push(name)
  }
  return {
    ...annotations(shape),
    type: 'object',
    properties,
    additionalProperties: false,
    ...(required.length > 0 && { required }),
    ...(allOf.length > 0 && { allOf }),
  }
}

export function twinDescription(name: string, shape: Shape): string {
  return shape.type === 'array'
    ? `The file that holds ${name}, one a line; relative to the configuration file.`
    : `The file that holds ${name}; relative to the configuration file.`
}

const VARIABLE = '\\$\\{'

function leafSchema(shape: Shape): Json {
  if (shape.enum) return { ...annotations(shape), anyOf: [{ enum: shape.enum }, { type: 'string', pattern: VARIABLE }] }
  if (shape.type !== 'string') {
    return {
      ...annotations(shape),
      anyOf: [
        { type: shape.type, ...only(shape, ['minimum', 'maximum']) },
        ...(shape['x-word'] === undefined ? [] : [{ enum: [shape['x-word']] }]),
        { type: 'string', pattern: '^\\$\\{[^}]*\\}$' },
      ],
    }
  }
  const kind: Kind = KINDS[shape['x-kind'] ?? 'text']
  return {
    ...annotations(shape),
    type: 'string',
    ...(kind.pattern === undefined ? { minLength: 1 } : { pattern: `${VARIABLE}|${kind.pattern}` }),
  }
}

function annotations(shape: Shape): Json {
  return only(shape, ['description', 'default'])
}

function only(shape: Shape, names: readonly (keyof Shape)[]): Json {
  return Object.fromEntries(names.filter((name) => shape[name] !== undefined).map((name) => [name, shape[name]]))
}
