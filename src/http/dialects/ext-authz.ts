// Envoy's ext_authz over HTTP: the request that is asked about is the question itself, its path after a prefix. Envoy lets
// pass on exactly 200 and hands everything else to the client.
import type { IncomingMessage } from 'node:http'
import { GatehouseError } from '../../core/errors.js'
import { parseTarget, type KnownHosts, type Target } from '../../core/target.js'
import type { Dialect } from './dialect.js'
import { forwardAuth } from './forward-auth.js'
import { single } from './forwarded.js'

const PREFIX = '/oauth2/ext-authz'

export const extAuthz: Dialect = { ...forwardAuth, path: `${PREFIX}/*` }

/** Host, path and method as they are, the scheme from X-Forwarded-Proto, which Envoy sends where allowed_headers lists it. */
export function readItself(request: IncomingMessage, hosts: KnownHosts): Target {
  const scheme = single(request, 'x-forwarded-proto')
  const host = single(request, 'host')
  if (scheme === undefined || host === undefined) throw new GatehouseError('target_malformed', { detail: `${host === undefined ? 'Host' : 'X-Forwarded-Proto'} is missing`, remedy: 'List x-forwarded-proto in allowed_headers of ext_authz.' })
  return parseTarget({ scheme, host, uri: (request.url ?? '').slice(PREFIX.length), method: request.method ?? '' }, hosts)
}
