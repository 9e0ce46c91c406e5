// The browser's two steps of a login: away to Entra, and back. Everything is checked before it is acted on: the state
// and the browser before the code is redeemed, `rd` before anybody is sent anywhere.
import fastifyOauth2 from '@fastify/oauth2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import { FLOW_LIFETIME_MS, flowHash, isBinding, newBinding, type FlowSealer } from '../core/flow.js'
import type { LoginOutcome, LoginRequest } from '../core/login.js'
import { parseReturnTo, type ReturnToRules } from '../core/return-to.js'
import { newPublicSessionId, newSessionId } from '../core/session.js'
import { cookieValues, type CookiePolicy } from './cookies.js'
import { asGatehouseError, errorFacts, sendError } from './errors.js'
import type { PageSettings } from './pages/layout.js'
import { queryParameters } from './query.js'
import type { TrustedPeers } from './trusted-peers.js'

/** What we use of the plugin's namespace; extra parameters pass through to the address. */
interface AuthorizeUrlBuilder { readonly oauth2: { authorizeURL(parameters: Readonly<Record<string, string>>): string } }

declare module 'fastify' {
  interface FastifyInstance { entra: AuthorizeUrlBuilder }
}

export interface LoginOptions {
  readonly publicUrl: string
  readonly clientId: string
  readonly authority: string
  readonly authorizePath: string
  readonly scopes: readonly string[]
  readonly flows: FlowSealer
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly trusts: TrustedPeers
  readonly login: (request: LoginRequest) => Promise<LoginOutcome>
  /** An error that Entra sent to the callback, as ours. */
  readonly entraError: (answer: Readonly<Record<string, string | undefined>>) => GatehouseError
  readonly pages: PageSettings
}

const CALLBACK = ['code', 'state', 'error', 'error_description', 'error_subcode', 'error_uri', 'session_state'] as const

export async function loginRoutes(scope: FastifyInstance, options: LoginOptions): Promise<void> {
  const { publicUrl, clientId, authority, authorizePath, scopes } = options
  const callbackUri = `${publicUrl}/oauth2/callback`
  // Only builds the authorize address: it never sees the secret (docs/decisions/fastify-oauth2.md).
  await scope.register(fastifyOauth2, {
    name: 'entra',
    scope: [...scopes],
    callbackUri,
    credentials: {
      client: { id: clientId, secret: 'the token request is not made here' },
      auth: { authorizeHost: authority, authorizePath, tokenHost: authority, tokenPath: '/' },
    },
  })
  scope.get('/oauth2/start', async (request, reply) => start(scope.entra, callbackUri, options, request, reply))
  scope.get('/oauth2/callback', async (request, reply) => callback(options, request, reply))
}

function start(entra: AuthorizeUrlBuilder, callbackUri: string, options: LoginOptions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { flows, cookies, publicUrl, scopes } = options
  const { rd, prompt } = queryParameters(request.query, ['rd', 'prompt'])
  if (prompt !== undefined && prompt !== 'select_account') throw new GatehouseError('query_unknown', { detail: 'the only prompt is select_account' })
  if (cookieValues(request.headers.cookie, cookies.names.session).length > 1) throw new GatehouseError('session_cookie_doubled', { remedy: 'The person clears the cookies of this site; another application on the same domain sets one of our name.' })
  const wanted = rd ?? trustedRedirectHeader(request, options)
  const returnTo = parseReturnTo(wanted, options.returnTo, requestOrigin(request, options))
  if (!isPublicHost(request, publicUrl)) {
    request.log.info({ host: request.host }, 'sent on to publicUrl; if this repeats without end, the proxy does not pass the Host header on')
    return reply.redirect(`${publicUrl}/oauth2/start?${new URLSearchParams({ rd: returnTo, ...(prompt === undefined ? {} : { prompt }) })}`, 302)
  }
  const [known] = cookieValues(request.headers.cookie, cookies.names.binding)
  const binding = isBinding(known) ? known : newBinding()
  const { flow, state } = flows.begin(returnTo, binding)
  const authorizeUrl = entra.oauth2.authorizeURL({
    redirect_uri: callbackUri,
    scope: scopes.join(' '),
    state,
    nonce: flow.nonce,
    response_mode: 'query',
    code_challenge: createHash('sha256').update(flow.codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(prompt === undefined ? {} : { prompt }),
  })
  return reply
    .setCookie(cookies.names.binding, binding, { maxAge: 6 * FLOW_LIFETIME_MS / 1000 })
    .redirect(authorizeUrl, 302)
}

async function callback(options: LoginOptions, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { flows, cookies, login, pages, publicUrl } = options
  const answer = queryParameters(request.query, CALLBACK, { ignoreUnknown: true })
  if (answer.state === undefined || answer.state === '') throw new GatehouseError('state_missing')
  const [binding, doubled] = cookieValues(request.headers.cookie, cookies.names.binding)
  const flow = flows.open(answer.state, doubled === undefined ? binding : undefined)
  const retryUrl = `${publicUrl}/oauth2/start?${new URLSearchParams({ rd: flow.returnTo })}`
  try {
    if (answer.error !== undefined) throw options.entraError(answer)
    if (answer.code === undefined || answer.code === '') throw new GatehouseError('callback_malformed', { detail: 'neither code nor error' })
    const id = newSessionId()
    await login({
      grant: { code: answer.code, codeVerifier: flow.codeVerifier, nonce: flow.nonce, correlationId: request.id },
      flow: flowHash(flow),
      session: { id, publicId: newPublicSessionId(), replaces: request.session.record === undefined ? undefined : request.session.sessionId },
    })
    request.nextSessionId = id
    await request.session.regenerate()
    request.session.set('writtenAt', Date.now())
    return reply.redirect(flow.returnTo, 302)
  } catch (thrown) {
    const error = asGatehouseError(thrown)
    request.log[error.status >= 500 ? 'error' : 'warn']({ ...errorFacts(error), client: request.ip }, `login failed: ${error.code}`)
    return sendError(error, request, reply, pages, { retryUrl: `${retryUrl}&prompt=select_account` })
  }
}

/** oauth2-proxy's nginx sample hands `rd` over in a header; only a proxy we trust may. */
function trustedRedirectHeader(request: FastifyRequest, { trusts }: LoginOptions): string | undefined {
  const header = request.headers['x-auth-request-redirect']
  return typeof header === 'string' && trusts(request.socket.remoteAddress) ? header : undefined
}

/** Where a relative `rd` counts from: the host the browser asked for, as a trusted proxy says. */
function requestOrigin(request: FastifyRequest, { publicUrl }: LoginOptions): string {
  if (isPublicHost(request, publicUrl)) return publicUrl
  const origin = `${new URL(publicUrl).protocol}//${request.host}`
  return URL.canParse(origin) ? new URL(origin).origin : publicUrl
}

function isPublicHost(request: FastifyRequest, publicUrl: string): boolean {
  const { protocol, host } = new URL(publicUrl)
  const origin = `${protocol}//${request.host}`
  return URL.canParse(origin) && new URL(origin).host === host
}
