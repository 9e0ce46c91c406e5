// Serializes an answer by its schema: a field that the schema does not declare never leaves, wherever it stands, and an
// answer that is not as declared is not sent at all.
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Clean } from 'typebox/value'
import { GatehouseError } from '../../../core/errors.js'

/** @returns a function that throws GatehouseError `internal` where something declared is missing or has another type */
export function createSerializer(schema: TSchema, operationId: string): (answer: unknown) => string {
  const declared = Compile(schema)
  return (answer) => {
    const value: unknown = JSON.parse(JSON.stringify(answer)) // Clean changes what it is given
    const cleaned = Clean(schema, value) // guard: admin-declared-fields
    if (declared.Check(cleaned)) return JSON.stringify(cleaned)
    const [first] = declared.Errors(cleaned)
    const cause = new Error(
      `${operationId} answered what it does not declare: ${first?.instancePath} ${first?.message}`,
    )
    throw new GatehouseError('internal', { detail: cause.message, cause })
  }
}
