// Envoy's ext_authz over HTTP: Envoy sends the client's request itself, with a prefix before its path. Only 200 allows
// the request; Envoy returns any other response to the client.
import type { IncomingMessage } from 'node:http'
import { GatehouseError } from '../../../core/errors.js'
import { parseTarget, type KnownHosts, type Target } from '../../../core/target.js'
import type { Dialect } from '../route.js'
import { forwardAuth } from './forward-auth.js'
import { PORT, single } from '../target-headers.js'

const PREFIX = '/oauth2/ext-authz'

export const extAuthz: Dialect = { ...forwardAuth, path: `${PREFIX}/*` }

/** A segment `.` or `..`, raw or as `%2e`. Envoy resolves them, so such a request was not normalized by Envoy. */
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?=[/?]|$)/i

/** Host, path and method of the request itself; the scheme from X-Forwarded-Proto, if allowed_headers lists it. */
export function readItself(request: RewrittenRequest, hosts: KnownHosts): Target {
  const scheme = single(request, 'x-forwarded-proto')
  const host = single(request, 'host')
  if (scheme === undefined || host === undefined) {
    throw new GatehouseError('target_malformed', {
      detail: `${host === undefined ? 'Host' : 'X-Forwarded-Proto'} is missing`,
      remedy: 'List x-forwarded-proto in allowed_headers of ext_authz.',
    })
  }
  const uri = (request.originalUrl ?? request.url ?? '').slice(PREFIX.length)
  if (hasDotSegment(uri)) { // guard: adv-question-dot-segments
    throw new GatehouseError('target_malformed', {
      detail: 'the path contains a segment . or ..',
      remedy: 'Envoy must normalize paths before ext_authz (normalize_path: true).',
    })
  }
  return parseTarget({ scheme, host, uri, method: request.method ?? '', port: single(request, PORT) }, hosts)
}

/** http/fastify-instance.ts rewrites the URL to one route for all paths and keeps the original. */
type RewrittenRequest = IncomingMessage & { readonly originalUrl?: string }

function hasDotSegment(uri: string): boolean {
  const found = DOT_SEGMENT.exec(uri)
  const query = uri.indexOf('?')
  return found !== null && (query === -1 || found.index < query)
}
