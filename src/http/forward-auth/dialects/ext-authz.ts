// Envoy's ext_authz over HTTP: the request that is asked about is the question itself, its path after a prefix. Envoy
// lets pass on exactly 200 and hands everything else to the client.
import type { IncomingMessage } from 'node:http'
import { GatehouseError } from '../../../core/errors.js'
import { parseTarget, type KnownHosts, type Target } from '../../../core/target.js'
import type { Dialect } from '../route.js'
import { forwardAuth } from './forward-auth.js'
import { PORT, single } from '../target-headers.js'

const PREFIX = '/oauth2/ext-authz'

export const extAuthz: Dialect = { ...forwardAuth, path: `${PREFIX}/*` }

/** A segment `.` or `..`, raw or `%2e` in any mix: Envoy has resolved these, so a client of ours wrote it. */
const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?=[/?]|$)/i

/**
 * Host, path and method as they are, the scheme from X-Forwarded-Proto, which Envoy sends where allowed_headers lists
 * it.
 */
export function readItself(request: QuestionItself, hosts: KnownHosts): Target {
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
      detail: 'there is a segment . or .. in the path',
      remedy: 'Envoy must normalise paths before it asks (normalize_path: true).',
    })
  }
  return parseTarget({ scheme, host, uri, method: request.method ?? '', port: single(request, PORT) }, hosts)
}

/** The route is found under one address for all of them (instance.ts); what was sent is kept beside it. */
type QuestionItself = IncomingMessage & { readonly originalUrl?: string }

function hasDotSegment(uri: string): boolean {
  const found = DOT_SEGMENT.exec(uri)
  const query = uri.indexOf('?')
  return found !== null && (query === -1 || found.index < query)
}
