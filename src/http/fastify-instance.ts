// Creates the Fastify instance: limits, error handlers, trusted proxies, URL normalization.
import { randomUUID } from 'node:crypto'
import { createServer, METHODS, type IncomingHttpHeaders } from 'node:http'
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { GatehouseError } from '../core/errors.js'
import type { Announcements } from '../core/siblings.js'
import { answerClientError } from './client-error.js'
import { createErrorHandler, type SendError } from './errors.js'
import type { FastPath } from './forward-auth/fast-path.js'
import { createForwardedForNormalizer } from './forwarded-for.js'
import type { TrustedPeers } from '../net/networks.js'
import type { PageSettings } from './pages/layout.js'

const MAX_HEADER_BYTES = 64 * 1024 // includes the cookies of applications
const REQUEST_TIMEOUT_MS = 30_000 // bounds slow request bodies
const MAX_PARAMETER_LENGTH = 2_000 // names of groups below /admin, percent-encoded
const KEEP_ALIVE_MS = 72_000 // longer than the keep-alive time of proxies

export interface InstanceOptions {
  readonly trusts: TrustedPeers
  readonly pages: PageSettings
  readonly log: FastifyBaseLogger
  /** Answers a request before Fastify handles it. */
  readonly fastPath: FastPath
  readonly announcements?: Announcements | undefined
  /** Undefined: every error is answered as a page or as JSON (errors.ts). */
  readonly sendError?: SendError | undefined
}

export function createInstance(options: InstanceOptions): FastifyInstance {
  const { trusts, pages, log, fastPath } = options
  const onError = createErrorHandler(pages, options.sendError)
  const normalizeForwardedFor = createForwardedForNormalizer(options)
  const ownHost = new URL(pages.publicUrl).hostname
  const app = fastify({
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'correlationId' }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    rewriteUrl: (request) => { // runs before anything else
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
    return503OnClosing: false, // requests on kept-alive connections are still answered (drain.ts)
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

interface RequestHead {
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/**
 * Forward-auth requests at `/` (oauth2-proxy's Traefik sample sends them there, some proxies with the client's query)
 * are passed to the forward-auth endpoint: the home page's 200 would allow every signed-in user, whatever the rules
 * are.
 *
 * Envoy sends the path of the application behind a prefix. The router must not decode it (ext-authz.ts reads the
 * original).
 *
 * None of Gatehouse's own paths outside of /admin contains a percent-encoding. A client that sends one,
 * `/oauth2/%61uth`, tries to bypass a proxy's rule that blocks the auth endpoints from the outside.
 */
function normalizeUrl({ url = '/', headers }: RequestHead, ownHost: string): string {
  if (/^\/(?:[?#]|$)/.test(url)) return frontPage(url, headers, ownHost) // guard: adv-front-page
  if (url.startsWith(EXT_AUTHZ)) return EXT_AUTHZ // guard: adv-question-undecoded
  const encoded = url.indexOf('%')
  if (encoded === -1) return url
  const query = url.indexOf('?')
  if (query !== -1 && query < encoded) return url
  return url.startsWith('/admin/') && hasOneSpelling(url) ? url : UNROUTABLE_PATH // guard: adv-one-spelling
}

/**
 * Addresses of the console contain names of groups. What needs no percent-encoding (RFC 3986 section 2.3) must not have
 * one: so `/admin/%61pi` cannot stand for `/admin/api`.
 */
function hasOneSpelling(url: string): boolean {
  const [path = ''] = url.split('?', 1)
  return !/%(?:2[DE]|3\d|[46][1-9A-F]|[57][\dA]|5F|7E)/i.test(path) // guard: admin-one-spelling
}

/**
 * A browser can send X-Forwarded-Uri to the home page through a proxy that forwards it. Host and X-Forwarded-Host are
 * then both Gatehouse's; in a forward-auth request one of them is the application's.
 */
function frontPage(url: string, headers: IncomingHttpHeaders, ownHost: string): string {
  if (headers['x-forwarded-uri'] === undefined) return url
  const forwardedHost = headers['x-forwarded-host'] ?? headers.host
  const isOwnPage = hostnameOf(headers.host) === ownHost && hostnameOf(forwardedHost) === ownHost
  return isOwnPage ? UNROUTABLE_PATH : `/oauth2/forward-auth${url.slice(1)}` // guard: adv-page-is-no-question
}

/** Proxies select the site by its name only: another port or a trailing dot lead to the same pages. */
function hostnameOf(host: string | readonly string[] | undefined): string {
  return String(host).toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '')
}

const EXT_AUTHZ = '/oauth2/ext-authz/'
const UNROUTABLE_PATH = '/oauth2/unroutable'
