// Reads the query parameters of Gatehouse's pages. A duplicate parameter is refused (attack class "HTTP parameter
// pollution", CWE-235). Unknown parameters are ignored: campaign links, My Apps and Entra ID add some.
import { GatehouseError } from '../core/errors.js'

/**
 * @param names the known parameters; others are ignored
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
