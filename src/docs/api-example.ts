// An example of a value that a schema describes: its own examples where it has some, otherwise something of its type.

export interface Schema {
  readonly type?: string
  readonly format?: string
  readonly examples?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
}

const OF_FORMAT: Readonly<Record<string, string>> = {
  'date-time': '2026-11-28T08:30:00.000Z',
  'date': '2026-11-28',
  'uuid': '3f0f8a2e-6f5b-4c1d-9a51-2b7d1c0e4f10',
  'uri': 'https://netbox.example.com/',
}

export function exampleOf(schema: Schema): unknown {
  const { examples, const: only, enum: choices, default: standard, anyOf } = schema
  const given = [examples?.[0], only, choices?.[0], standard].find((value) => value !== undefined)
  if (given !== undefined) return given
  if (anyOf !== undefined) return exampleOf(anyOf.find(({ type }) => type !== 'null') ?? { type: 'null' })
  return ofType(schema)
}

function ofType({ type, format = '', properties, items, minimum }: Schema): unknown {
  if (type === 'object') {
    return Object.fromEntries(Object.entries(properties ?? {}).map(([name, schema]) => [name, exampleOf(schema)]))
  }
  if (type === 'array') return items === undefined ? [] : [exampleOf(items)]
  if (type === 'string') return OF_FORMAT[format] ?? 'text'
  if (type === 'boolean') return true
  return type === 'integer' || type === 'number' ? minimum ?? 1 : null
}
