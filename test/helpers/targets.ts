// The request that a proxy asks about: its URL as the headers of each dialect, and as a parsed target.
import { GatehouseError } from '../../src/core/errors.js'
import { parseTargetUrl, type Target } from '../../src/core/target.js'

/** The request of most tests, as headers of nginx's `auth_request`. */
export const TARGET = originalHeaders('https://app.test/x')

/** Headers of nginx's `auth_request` for a GET request. */
export function originalHeaders(url: string): Record<'x-original-url' | 'x-original-method', string> {
  return { 'x-original-url': url, 'x-original-method': 'GET' }
}

/** Headers of Traefik's and Caddy's forward-auth for a GET request. */
export function forwardedHeaders(
  url: string,
): Record<`x-forwarded-${'proto' | 'host' | 'uri' | 'method'}`, string> {
  const { protocol, host, pathname, search } = new URL(url)
  return {
    'x-forwarded-proto': protocol.slice(0, -1),
    'x-forwarded-host': host,
    'x-forwarded-uri': `${pathname}${search}`,
    'x-forwarded-method': 'GET',
  }
}

/** The parsed target of a path of `app.test`; undefined if the path is malformed. */
export function targetOf(path: string): Target | undefined {
  try {
    return parseTargetUrl(`https://app.test${path}`, 'GET')
  } catch (error) {
    if (error instanceof GatehouseError && error.code === 'target_malformed') return undefined
    throw error
  }
}
