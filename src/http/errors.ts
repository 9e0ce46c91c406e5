// Converts errors into responses: a page for browsers, JSON for programs, never a stack trace. Details go to the log.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ruleTitle, type Grounds } from '../core/access.js'
import { errorFacts, GatehouseError, type ErrorCode } from '../core/errors.js'
import { domainsOf } from './cookies.js'
import { wantsHtml } from './navigation.js'
import { sendPage, type PageSettings } from './pages/layout.js'
import { errorPage, type ErrorFacts } from './pages/pages.js'
import { retryUrlOf } from './retry.js'

/** Refusals that a sign-in resolves. */
const RESOLVED_BY_SIGNING_IN: ReadonlySet<ErrorCode> = new Set([
  'not_signed_in',
  'session_cookie_doubled',
  'session_unreadable',
])

/** Refusals below 500 that a wrong setting causes more often than a user. */
const OFTEN_MISCONFIGURED: ReadonlySet<ErrorCode> = new Set(['return_to_refused'])

const BY_STATUS: Readonly<Record<number, ErrorCode>> = { 404: 'not_found', 429: 'rate_limited' }

/** Converts anything thrown: Fastify's 4xx errors keep their meaning, unexpected errors become `internal`. */
export function asGatehouseError(error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error
  const status = (error as Partial<FastifyError> | null)?.statusCode
  if (status !== undefined && status >= 400 && status < 500) {
    return new GatehouseError(BY_STATUS[status] ?? 'request_malformed', { cause: error })
  }
  return new GatehouseError('internal', { cause: error }) // no detail: a library's message may contain personal data
}

export type SendError = (
  error: GatehouseError,
  request: FastifyRequest,
  reply: FastifyReply,
  settings: PageSettings,
) => FastifyReply

export function createErrorHandler(settings: PageSettings, send: SendError = sendError) {
  return (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = asGatehouseError(thrown)
    request.log[levelOf(error)](
      { ...errorFacts(error), method: request.method, path: pathOf(request), client: request.ip },
      'request refused',
    )
    return send(error, request, reply, settings)
  }
}

function levelOf({ status, code }: GatehouseError): 'error' | 'warn' | 'info' {
  if (status >= 500) return 'error'
  return OFTEN_MISCONFIGURED.has(code) ? 'warn' : 'info' // guard: adv-return-warned
}

/** A signed-in user who was refused, with the reason. */
export interface Denied {
  readonly username: string
  readonly grounds: Grounds
  /** The front page of the application, if the refused page is another one and the user may open it. */
  readonly frontPage: string | undefined
}

export interface ErrorContext {
  readonly retryUrl?: string | undefined
  readonly denied?: Denied | undefined
  /** The page is shown in a frame, which applications of server.redirectDomains may do. */
  readonly framed?: boolean
  /** Other pages to go to: the first one is the primary button. */
  readonly links?: ErrorFacts['links']
  /** Further rows of the page: label and text. */
  readonly rows?: readonly (readonly [string, string])[] | undefined
}

/** For every 503: requests to the database, Entra ID and Graph are retried within seconds. */
export const RETRY_AFTER_SECONDS = '5'

/** Headers of a JSON response. */
export const JSON_ANSWER = {
  'cache-control': 'no-store',
  'vary': 'Cookie', // guard: adv-json-nosniff
  'x-content-type-options': 'nosniff',
} as const

/** A 401 must name a scheme (RFC 9110 section 11.6.1); for this one browsers open no password dialog. */
export function challenge({ publicUrl }: Pick<PageSettings, 'publicUrl'>): string {
  return `Cookie realm="${publicUrl}"`
}

/** The JSON contains the sentence as `detail` too, the name that Django REST framework uses and scripts display. */
export function sendError(
  error: GatehouseError,
  request: FastifyRequest,
  reply: FastifyReply,
  settings: PageSettings,
  context: ErrorContext = {},
): FastifyReply {
  const { sentence } = error
  const { denied } = context
  const decided = denied && { rule: ruleTitle(denied.grounds), allows: denied.grounds.allows }
  if (error.status === 401) reply.header('www-authenticate', challenge(settings))
  if (error.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS) // guard: adv-retry-after
  if (!wantsHtml(request.headers)) {
    return reply.code(error.status).headers(JSON_ANSWER)
      .send({
        error: error.code,
        message: sentence,
        detail: sentence, // guard: adv-json-detail
        correlation_id: request.id,
        ...(denied === undefined ? {} : { username: denied.username, ...decided }),
        ...(settings.contact === undefined ? {} : { contact: settings.contact }),
        ...(context.retryUrl === undefined ? {} : { sign_in: context.retryUrl }),
      })
  }
  const retryUrl = context.retryUrl ?? retryUrlOf(error, request, settings)
  const facts = {
    code: error.code,
    sentence,
    correlationId: request.id,
    microsoftIds: microsoftIds(error),
    contact: settings.contact,
    retryUrl,
    signIn: error.status === 401,
    framed: context.framed === true,
    username: denied?.username,
    decided: decided && { ...decided, about: denied.grounds.description },
    links: context.links ?? linksFor(denied, settings),
    rows: context.rows ?? doubledRows(error, settings), // guard: adv-doubled-page
  }
  return sendPage(reply, error.status, errorPage(titleOf(error), facts), settings)
}

function linksFor(denied: Denied | undefined, { publicUrl }: PageSettings): NonNullable<ErrorFacts['links']> {
  if (denied === undefined) return [] // guard: adv-page-way-back
  const ours = { text: 'See what is open to you', url: `${publicUrl}/` }
  const { frontPage } = denied
  return frontPage === undefined ? [ours] : [{ text: `Go to ${new URL(frontPage).host}`, url: frontPage }, ours]
}

/** The cookie to remove manually and the domains that it can be set for, in case clearing it does not help. */
function doubledRows({ code }: GatehouseError, { publicUrl, sessionCookie }: PageSettings): ErrorContext['rows'] {
  if (code !== 'session_cookie_doubled') return undefined
  const { hostname } = new URL(publicUrl)
  return [['Cookie', sessionCookie], ['May be set for', [...new Set([hostname, ...domainsOf(hostname)])].join(', ')]]
}

/** Request id of Graph; correlation and trace id of Entra ID. */
function microsoftIds({ facts }: GatehouseError): string[] {
  return [facts.requestId, facts.entraCorrelationId, facts.entraTraceId].filter((id): id is string =>
    typeof id === 'string' && /^[\w-]{1,64}$/.test(id)
  )
}

function titleOf({ status, code }: GatehouseError): string {
  if (code === 'login_cancelled' || code === 'consent_declined') return 'You did not sign in'
  if (code === 'loaded_ahead') return 'Nothing was done'
  if (RESOLVED_BY_SIGNING_IN.has(code)) return 'Sign in to continue'
  if (status === 403) return 'No access'
  if (status === 404) return 'Not found'
  return status >= 500 ? 'Something is not working' : 'That did not work'
}

/** Without the query, which may contain a code or a state. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url
}
