// Reads the query of the API strictly: unknown, repeated and misspelt parameters are refused, because a filter that is
// ignored shows more than was asked for.
import type { TObject, TSchema } from 'typebox'
import { GatehouseError } from '../../../core/errors.js'

const INTEGER = /^(?:0|[1-9]\d{0,14})$/

/**
 * The values with the types that the schema declares; validation follows.
 * @throws GatehouseError `query_unknown`, `query_duplicate`, `request_malformed`
 */
export function strictQuery(query: unknown, { properties }: TObject): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(query as Readonly<Record<string, string | string[]>>)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (schema === undefined) throw refused('query_unknown', name) // guard: admin-query-unknown
    if (typeof given !== 'string') throw refused('query_duplicate', name) // guard: admin-query-duplicate
    found[name] = valueOf(given, schema, name)
  }
  return found
}

function valueOf(text: string, schema: TSchema, name: string): unknown {
  const { type } = schema as { readonly type?: string }
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  if (type === 'integer' && INTEGER.test(text)) return Number(text)
  if (type === 'boolean' || type === 'integer') throw refused('request_malformed', name)
  return text
}

/** The name is the client's, and is repeated only as far as a name can be one. */
export function refused(code: 'query_unknown' | 'query_duplicate' | 'request_malformed', name: string): GatehouseError {
  const parameter = name.slice(0, 60)
  return new GatehouseError(code, { detail: `the parameter ${JSON.stringify(parameter)}`, facts: { parameter } })
}
