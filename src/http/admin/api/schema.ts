// Parts of the schemas of answers. What a schema does not declare cannot leave, so a schema must declare everything:
// defineEndpoint refuses one that leaves something open.
import Type, { type TObject, type TProperties, type TSchema } from 'typebox'

/** An object with exactly these fields. */
export function closed<Properties extends TProperties>(
  properties: Properties,
  description?: string,
): TObject<Properties> {
  return Type.Object(properties, { additionalProperties: false, ...(description ? { description } : {}) })
}

/** An instant, ISO 8601 in UTC. */
export function instant(description: string) {
  return Type.String({ format: 'date-time', description, examples: ['2026-11-28T08:30:00.000Z'] })
}

export function nullable<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()])
}

/** A record whose fields nobody can list, such as what an audit row had before. Never for what a person may hold. */
export function openRecord(description: string) {
  return Type.Record(Type.String(), Type.Any(), { description, 'x-open': true })
}

/**
 * @throws Error where an object of the schema is open, or where a value has no type: it would leave as it is
 */
export function requireClosed(schema: TSchema, place: string): void {
  const { type, properties, items, anyOf, additionalProperties, 'x-open': open } = schema as Record<string, unknown>
  if (open === true) return
  if (type === 'object' && additionalProperties !== false) throw new Error(`${place} is an open object`)
  if (type === undefined && anyOf === undefined) throw new Error(`${place} has no type`)
  for (const [name, value] of Object.entries((properties ?? {}) as Record<string, TSchema>)) {
    requireClosed(value, `${place}.${name}`)
  }
  if (type === 'array') requireClosed((items ?? {}) as TSchema, `${place}[]`)
  for (const part of (anyOf ?? []) as TSchema[]) requireClosed(part, place)
}
