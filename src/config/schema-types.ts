// The constructors of TypeBox that the configuration's schema needs. TypeBox gives the types alone: loading its 700
// modules took a third of the start of every command.
import type { TArray, TObject, TOptional, TProperties, TSchema, TUnion, TUnsafe } from 'typebox'

/** Not enumerable, as in TypeBox: the schema that is walked and published stays plain JSON Schema. */
const OPTIONAL = '~optional'

interface Keywords {
  readonly description?: string
  readonly [keyword: string]: unknown
}

export const Type = {
  Object<Properties extends TProperties>(properties: Properties, keywords: Keywords): TObject<Properties> {
    const required = Object.keys(properties).filter((name) => !(OPTIONAL in (properties[name] ?? {})))
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...keywords } as TObject<Properties>
  },
  Array<Items extends TSchema>(items: Items, keywords: Keywords): TArray<Items> {
    return { type: 'array', items, ...keywords } as unknown as TArray<Items>
  },
  Union<Members extends TSchema[]>(anyOf: [...Members], keywords: Keywords): TUnion<Members> {
    return { anyOf, ...keywords } as unknown as TUnion<Members>
  },
  Unsafe<Value>(schema: Keywords): TUnsafe<Value> {
    return { ...schema } as unknown as TUnsafe<Value>
  },
  Optional<Schema extends TSchema>(schema: Schema): TOptional<Schema> {
    return Object.defineProperty({ ...schema }, OPTIONAL, { value: true }) as TOptional<Schema>
  },
}
