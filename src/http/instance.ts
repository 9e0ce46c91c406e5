// The Fastify instance that everything is registered on: its limits, its errors, whom it believes about addresses.
import { randomUUID } from 'node:crypto'
import { createServer, METHODS, type IncomingHttpHeaders } from 'node:http'
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import { answerClientError } from './client-error.js'
import { createErrorHandler } from './errors.js'
import type { FastPath } from './forward-auth/fast-path.js'
import { createForwardedForNormalizer } from './forwarded-for.js'
import type { TrustedPeers } from '../net/networks.js'
import type { PageSettings } from './pages/layout.js'

const MAX_HEADER_BYTES = 64 * 1024 // applications' own cookies come along
const REQUEST_TIMEOUT_MS = 30_000 // a body that trickles in does not hold its connection for ever
const KEEP_ALIVE_MS = 72_000 // longer than proxies keep theirs

export interface InstanceOptions {
  readonly trusts: TrustedPeers
  readonly pages: PageSettings
  readonly log: FastifyBaseLogger
  /** Answers a request before Fastify handles it. */
  readonly fastPath: FastPath
}

export function createInstance({ trusts, pages, log, fastPath }: InstanceOptions): FastifyInstance {
  const onError = createErrorHandler(pages)
  const normalizeForwardedFor = createForwardedForNormalizer({ trusts, log })
  const ownHost = new URL(pages.publicUrl).hostname
  const app = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlationId' }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    rewriteUrl: (request) => { // the first that sees a request
      normalizeForwardedFor(request)
      return normalizeUrl(request, ownHost)
    },
    trustProxy: (address: string) => trusts(address), // guard: adv-forwarded-for
    bodyLimit: 16 * 1024,
    serverFactory: (handler) =>
      createServer({
        maxHeaderSize: MAX_HEADER_BYTES,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      }, (request, response) => {
        if (!fastPath(request, response)) handler(request, response)
      }),
    forceCloseConnections: 'idle',
    return503OnClosing: false, // what still comes through a connection that a proxy kept is answered (drain.ts)
    clientErrorHandler: answerClientError, // guard: adv-client-error-headers
    frameworkErrors: (error, request, reply) => {
      onError(error, request, reply)
    },
  })
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  app.setErrorHandler(onError)
  app.setNotFoundHandler(() => {
    throw new GatehouseError('not_found')
  })
  return app
}

interface Asked {
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/**
 * A proxy that asks its forward-auth question at `/` (oauth2-proxy's Traefik sample does; some carry the client's query
 * over) must get an answer to that question: the home page's 200 would let everybody pass who is signed in, whatever
 * the rules say.
 *
 * Envoy's question is the path of somebody else's application: no router decodes it (ext-authz.ts reads what was sent).
 *
 * None of our own addresses has a percent-encoding. Who writes one, `/oauth2/%61uth`, means to get past the list of a
 * proxy that closes the auth endpoints to the outside.
 */
function normalizeUrl({ url = '/', headers }: Asked, ownHost: string): string {
  if (/^\/(?:[?#]|$)/.test(url)) return frontPage(url, headers, ownHost) // guard: adv-front-page
  if (url.startsWith(EXT_AUTHZ)) return EXT_AUTHZ // guard: adv-question-undecoded
  const encoded = url.indexOf('%')
  if (encoded === -1) return url
  const query = url.indexOf('?')
  return query !== -1 && query < encoded ? url : UNROUTABLE_PATH // guard: adv-one-spelling
}

/**
 * A browser can send X-Forwarded-Uri to the home page through a proxy that passes it on. Host and X-Forwarded-Host are
 * both ours then; a proxy that asks a question names its application in one of them.
 */
function frontPage(url: string, headers: IncomingHttpHeaders, ownHost: string): string {
  if (headers['x-forwarded-uri'] === undefined) return url
  const forwardedHost = headers['x-forwarded-host'] ?? headers.host
  const isOwnPage = hostnameOf(headers.host) === ownHost && hostnameOf(forwardedHost) === ownHost
  return isOwnPage ? UNROUTABLE_PATH : `/oauth2/forward-auth${url.slice(1)}` // guard: adv-page-is-no-question
}

/** Proxies choose the site by the name alone: another port or a trailing dot lead to the same pages. */
function hostnameOf(host: string | readonly string[] | undefined): string {
  return String(host).toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')
}

const EXT_AUTHZ = '/oauth2/ext-authz/'
const UNROUTABLE_PATH = '/oauth2/there-is-no-such-page'
