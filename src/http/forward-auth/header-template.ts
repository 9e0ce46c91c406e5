// The headers of a 200 as a template for each configuration: the names are kept once, and each answer is a copy with
// one session's values.
import {
  ASSERTION_HEADER,
  headerDefinitions,
  type HeaderDefinition,
  type IdentityHeaderSettings,
} from '../../core/identity-headers.js'

/** Headers as node:http writes them: name, value, name, value and so on. */
export type FlatHeaders = readonly string[]

/** The headers of every response without a body. */
export const COMMON_HEADERS: FlatHeaders = ['Cache-Control', 'no-store', 'Vary', 'Cookie', 'Content-Length', '0']

/**
 * The template is COMMON_HEADERS, then one pair for each definition, then the pair of the assertion if it is
 * configured. Several headers often have the same value (for example the username under three names), so a session's
 * values are stored without duplicates.
 */
export interface CompiledHeaders {
  readonly definitions: readonly HeaderDefinition[]
  readonly withAssertion: boolean
  readonly maxBytes: number
  /** All names, with empty values for everything that depends on the session. */
  readonly template: FlatHeaders
  /** Indexes of the definitions whose values differ from one another; `values` below has one entry for each. */
  readonly distinct: readonly number[]
  /** For each definition the index of its value in `values`. */
  readonly valueIndexes: readonly number[]
}

export function compileHeaders(settings: IdentityHeaderSettings): CompiledHeaders {
  const definitions = headerDefinitions(settings)
  const withAssertion = settings.families.includes('assertion')
  const keys = definitions.map(({ value, separator, encoding }) => `${value} ${encoding} ${separator}`)
  const distinct = keys.flatMap((key, index) => keys.indexOf(key) === index ? [index] : [])
  const names = [...definitions.map(({ name }) => name), ...withAssertion ? [ASSERTION_HEADER] : []]
  return {
    definitions,
    withAssertion,
    maxBytes: settings.maxBytes,
    distinct,
    template: [...COMMON_HEADERS, ...names.flatMap((name) => [name, ''])],
    valueIndexes: keys.map((key) => distinct.indexOf(keys.indexOf(key))),
  }
}

/** Position in the template of the value of a definition; the assertion follows the last definition. */
function valuePosition(definitionIndex: number): number {
  return FIRST_VALUE + 2 * definitionIndex
}

const FIRST_VALUE = COMMON_HEADERS.length + 1

/** @param values one for each entry of `distinct` @param assertion ignored if none is configured */
export function applyValues(
  { template, valueIndexes, withAssertion }: CompiledHeaders,
  values: readonly string[],
  assertion: string,
): FlatHeaders {
  const headers = template.slice()
  for (let index = 0; index < valueIndexes.length; index++) {
    headers[valuePosition(index)] = values[valueIndexes[index] ?? 0] ?? ''
  }
  if (withAssertion) headers[valuePosition(valueIndexes.length)] = assertion
  return headers
}
