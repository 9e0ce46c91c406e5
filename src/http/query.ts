// Query parameters of our own pages. A doubled one of ours is two answers to one question (CVE class "parameter
// pollution") and is refused. What others add (campaign marks, My Apps, Entra ID itself) is ignored.
import { GatehouseError } from '../core/errors.js'

/**
 * @param names those that count; all others are ignored
 * @throws `query_duplicate`
 */
export function queryParameters<Name extends string>(
  query: unknown,
  names: readonly Name[],
): Readonly<Partial<Record<Name, string>>> {
  const given = query as Readonly<Record<string, string | string[]>>
  const found: Partial<Record<Name, string>> = {} // guard: adv-unknown-parameters
  for (const name of names) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined
    if (Array.isArray(value)) { // guard: adv-doubled-parameters
      throw new GatehouseError('query_duplicate', { detail: `${name} is given ${value.length} times` })
    }
    if (typeof value === 'string') found[name] = value
  }
  return found
}
