// One place turns errors into answers: a page for people, JSON for programs, never a stack. The log gets the rest.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { describeAllow, type Grounds } from '../core/access.js'
import { errorFacts, GatehouseError, type ErrorCode } from '../core/errors.js'
import { domainsOf } from './cookies.js'
import { wantsHtml } from './navigation.js'
import { sendPage, type PageSettings } from './pages/layout.js'
import { errorPage, type ErrorFacts } from './pages/pages.js'
import { retryUrlOf } from './retry.js'

/** Refusals that a sign-in resolves. */
const ENDED_BY_SIGNING_IN: ReadonlySet<ErrorCode> = new Set([
  'not_signed_in',
  'session_cookie_doubled',
  'session_unreadable',
])

/** Refusals below 500 whose cause is more often a setting than a person. */
const OFTEN_MISCONFIGURED: ReadonlySet<ErrorCode> = new Set(['return_to_refused'])

const BY_STATUS: Readonly<Record<number, ErrorCode>> = { 404: 'not_found', 429: 'rate_limited' }

/** Anything thrown, as ours: the framework's 4xx keep their meaning, the unforeseen is `internal`. */
export function asGatehouseError(error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error
  const status = (error as Partial<FastifyError> | null)?.statusCode
  if (status !== undefined && status >= 400 && status < 500) {
    return new GatehouseError(BY_STATUS[status] ?? 'request_malformed', { cause: error })
  }
  return new GatehouseError('internal', { cause: error }) // no detail: a library's message may carry people's data
}

export function createErrorHandler(settings: PageSettings) {
  return (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = asGatehouseError(thrown)
    // guard: adv-return-warned
    const level = error.status >= 500 ? 'error' : OFTEN_MISCONFIGURED.has(error.code) ? 'warn' : 'info'
    request.log[level](
      { ...errorFacts(error), method: request.method, path: pathOf(request), client: request.ip },
      'request refused',
    )
    return sendError(error, request, reply, settings)
  }
}

/** Who was refused, by what, and where else they may go. */
export interface Denied {
  readonly username: string
  readonly grounds: Grounds
  /** The front page of the application, where it is another one and open to them. */
  readonly frontPage: string | undefined
}

export interface ErrorContext {
  readonly retryUrl?: string | undefined
  /** Whoever is signed in and was refused, and the rule that said so. */
  readonly denied?: Denied | undefined
  /** The page will be shown in a frame, which applications of server.redirectDomains may do. */
  readonly framed?: boolean
  /** What else the page says, line by line. */
  readonly rows?: readonly (readonly [string, string])[] | undefined
}

/** Of every 503: what is missing (the database, Entra ID, Graph) is asked for again within seconds. */
export const RETRY_AFTER_SECONDS = '5'

/** Headers of an answer in JSON. */
export const JSON_ANSWER = {
  'cache-control': 'no-store',
  'vary': 'Cookie', // guard: adv-json-nosniff
  'x-content-type-options': 'nosniff',
} as const

/** A 401 names a scheme (RFC 9110 section 11.6.1); browsers ask for no password on this one. */
export function challenge({ publicUrl }: Pick<PageSettings, 'publicUrl'>): string {
  return `Cookie realm="${publicUrl}"`
}

/** In JSON the sentence is also `detail`, which scripts of applications show (Django REST framework's name for it). */
export function sendError(
  error: GatehouseError,
  request: FastifyRequest,
  reply: FastifyReply,
  settings: PageSettings,
  context: ErrorContext = {},
): FastifyReply {
  const { sentence } = error
  const { denied } = context
  const decided = denied && { rule: denied.grounds.path, allows: describeAllow(denied.grounds.allow) }
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
    ways: waysOn(denied, settings),
    rows: context.rows ?? doubledRows(error, settings), // guard: adv-doubled-page
  }
  return sendPage(reply, error.status, errorPage(titleOf(error), facts), settings)
}

function waysOn(denied: Denied | undefined, { publicUrl }: PageSettings): NonNullable<ErrorFacts['ways']> {
  if (denied === undefined) return [] // guard: adv-page-way-back
  const ours = { text: 'See what is open to you', url: `${publicUrl}/` }
  const { frontPage } = denied
  return frontPage === undefined ? [ours] : [{ text: `Go to ${new URL(frontPage).host}`, url: frontPage }, ours]
}

/** Which cookie to remove by hand, and where it may be set, should it come back. */
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
  if (ENDED_BY_SIGNING_IN.has(code)) return 'Sign in to continue'
  if (status === 403) return 'No access'
  if (status === 404) return 'Not found'
  return status >= 500 ? 'Something is not working' : 'That did not work'
}

/** Without the query, which may hold a code or a state. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url
}
