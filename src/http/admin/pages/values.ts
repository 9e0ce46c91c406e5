// Reads the parameters of a page by its schema. Unknown and empty parameters are ignored: a form that was not filled in
// sends every field. A doubled parameter is refused (CWE-235).
import type { FastifyRequest } from 'fastify'
import type { Static, TObject } from 'typebox'
import { GatehouseError, type ErrorCode } from '../../../core/errors.js'

/** As Fastify compiles a schema: it converts numbers and booleans in place. */
export interface Validate {
  (values: unknown): boolean
  readonly errors?: readonly { readonly instancePath?: string, readonly message?: string }[] | null
}

/** Of an address that is no page. @throws GatehouseError `request_malformed`, `query_duplicate` */
export function parametersOf<Schema extends TObject>(
  schema: Schema,
  request: FastifyRequest,
  given: unknown,
): Static<Schema> {
  const validate = request.compileValidationSchema(schema) as Validate
  return valuesOf(schema, given, validate, 'request_malformed') as Static<Schema>
}

export function valuesOf(
  schema: TObject,
  given: unknown,
  validate: Validate,
  code: Extract<ErrorCode, 'request_malformed' | 'not_found'>,
): Record<string, unknown> {
  const all = given as Readonly<Record<string, unknown>>
  const values: Record<string, unknown> = {}
  for (const name of Object.keys(schema.properties)) {
    const value = Object.hasOwn(all, name) ? all[name] : undefined
    if (Array.isArray(value)) { // guard: admin-page-doubled
      throw new GatehouseError('query_duplicate', { sentence: `The address contains the parameter "${name}" twice.` })
    }
    if (value !== undefined && value !== '') values[name] = value
  }
  if (validate(values)) return values
  if (code === 'not_found') throw new GatehouseError(code)
  const { instancePath = '', message = 'is not valid' } = validate.errors?.[0] ?? {}
  const name = instancePath.slice(1)
  throw new GatehouseError(code, {
    sentence: name === '' ? 'A parameter is missing.' : `The value of "${name}" cannot be used: it ${message}.`,
  })
}
