// The Fastify instance that everything is registered on: its limits, its errors, whom it believes about addresses.
import { randomUUID } from 'node:crypto'
import { createServer, METHODS, type IncomingHttpHeaders } from 'node:http'
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { createErrorHandler } from './errors.js'
import type { AtOnce } from './at-once.js'
import type { TrustedPeers } from './networks.js'
import type { PageSettings } from './pages/layout.js'

const MAX_HEADER_BYTES = 64 * 1024 // applications' own cookies come along
const REQUEST_TIMEOUT_MS = 30_000 // a body that trickles in does not hold its connection for ever
const KEEP_ALIVE_MS = 72_000 // longer than proxies keep theirs

export interface InstanceOptions { readonly trusts: TrustedPeers, readonly pages: PageSettings, readonly log: FastifyBaseLogger, /** What is answered before anything else looks at it. */ readonly atOnce: AtOnce }

export function createInstance({ trusts, pages, log, atOnce }: InstanceOptions): FastifyInstance {
  const onError = createErrorHandler(pages)
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlationId' }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    rewriteUrl: withoutDetour,
    trustProxy: (address: string) => trusts(address),
    bodyLimit: 16 * 1024,
    serverFactory: (handler) => createServer({ maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => { if (!atOnce(request, response)) handler(request, response) }),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // what still comes through a connection that a proxy kept is answered (drain.ts)
    frameworkErrors: (error, request, reply) => { onError(error, request, reply) },
  })
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  app.setErrorHandler(onError)
  app.setNotFoundHandler(() => { throw new GatehouseError('not_found') })
  return app
}

/**
 * A proxy that asks its forward-auth question at `/` (oauth2-proxy's Traefik sample does; some carry the client's query over) must get an answer to that question: the
 * home page's 200 would let everybody pass who is signed in, whatever the rules say. No browser and no proxy sends this header otherwise.
 *
 * None of our own addresses has a percent-encoding. Who writes one, `/oauth2/%61uth`, means to get past the list of a proxy that
 * closes the auth endpoints to the outside.
 */
function withoutDetour({ url = '/', headers }: { readonly url?: string | undefined, readonly headers: IncomingHttpHeaders }): string {
  if (/^\/(?:[?#]|$)/.test(url)) return headers['x-forwarded-uri'] === undefined ? url : `/oauth2/forward-auth${url.slice(1)}`
  const encoded = url.indexOf('%')
  if (encoded === -1 || url.startsWith('/oauth2/ext-authz/')) return url
  const query = url.indexOf('?')
  return query !== -1 && query < encoded ? url : NOWHERE
}

const NOWHERE = '/oauth2/there-is-no-such-page'
