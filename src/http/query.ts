// Query parameters, read strictly: a doubled one is two answers to one question (CVE class "parameter pollution").
import { GatehouseError } from '../core/errors.js'

/**
 * @param names those that may be there; others are refused unless `ignoreUnknown` (RFC 6749 section 4.1.2: callbacks)
 * @throws `query_duplicate`, `query_unknown`
 */
export function queryParameters<Name extends string>(query: unknown, names: readonly Name[], options: { ignoreUnknown?: boolean } = {}): Readonly<Partial<Record<Name, string>>> {
  const given = query as Readonly<Record<string, string | string[]>>
  for (const [name, value] of Object.entries(given)) {
    if (Array.isArray(value)) throw new GatehouseError('query_duplicate', { detail: `${name.slice(0, 50)} is given ${value.length} times` })
    if (!options.ignoreUnknown && !(names as readonly string[]).includes(name)) throw new GatehouseError('query_unknown', { detail: `unknown parameter ${name.slice(0, 50)}` })
  }
  return Object.fromEntries(names.flatMap((name) => typeof given[name] === 'string' ? [[name, given[name]]] : [])) as Partial<Record<Name, string>>
}
