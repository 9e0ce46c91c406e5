// The browser's two steps of a login: away to Entra, and back. Everything is checked before it is acted on: the state
// and the browser before the code is redeemed, `rd` before anybody is sent anywhere.
import fastifyOauth2 from '@fastify/oauth2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createHash } from 'node:crypto'
import { GatehouseError, MENDED_BY_SIGNING_IN_AGAIN } from '../core/errors.js'
import { FLOW_LIFETIME_MS, flowHash, isBinding, newBinding, type Flow, type FlowSealer } from '../core/flow.js'
import type { LoginOutcome, LoginRequest } from '../core/login.js'
import type { Meter } from '../core/meter.js'
import type { ReturnToRules } from '../core/return-to.js'
import { newPublicSessionId, newSessionId } from '../core/session.js'
import { cookieValues, type CookiePolicy } from './cookies.js'
import { asGatehouseError, errorFacts, sendError } from './errors.js'
import type { PageSettings } from './pages/layout.js'
import type { TrustedPeers } from './networks.js'
import { queryParameters } from './query.js'
import { isPublicHost, wantedReturn } from './wanted-return.js'

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
  readonly meter: Pick<Meter, 'login'>
  /** Called with the new session's id. */
  readonly signedIn: (sessionId: string, reply: FastifyReply) => Promise<void>
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
  const toEntra = away(scope.entra, callbackUri, options)
  scope.get('/oauth2/start', async (request, reply) => start(toEntra, options, request, reply))
  scope.get('/oauth2/callback', async (request, reply) => callback(toEntra, options, request, reply))
}

type Entra = (returnTo: string, browser: { request: FastifyRequest, reply: FastifyReply }, wish?: { prompt?: string | undefined, again?: boolean, claims?: string | undefined }) => FastifyReply

/** The way to Entra ID: a new flow, bound to this browser. */
function away(entra: AuthorizeUrlBuilder, redirectUri: string, { flows, cookies, scopes }: LoginOptions): Entra {
  return (returnTo, { request, reply }, { prompt, again = false, claims } = {}) => {
    const [known] = cookieValues(request.headers.cookie, cookies.names.binding)
    const binding = isBinding(known) ? known : newBinding()
    const { flow, state } = flows.begin(returnTo, binding, again)
    const authorizeUrl = entra.oauth2.authorizeURL({
      redirect_uri: redirectUri,
      scope: scopes.join(' '),
      state,
      nonce: flow.nonce,
      response_mode: 'query',
      code_challenge: createHash('sha256').update(flow.codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...(prompt === undefined ? {} : { prompt }),
      ...(claims === undefined ? {} : { claims }),
    })
    return reply
      .setCookie(cookies.names.binding, binding, { maxAge: 6 * FLOW_LIFETIME_MS / 1000 })
      .redirect(authorizeUrl, 302)
  }
}

function start(toEntra: Entra, options: LoginOptions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { cookies, publicUrl } = options
  const { rd, prompt } = queryParameters(request.query, ['rd', 'prompt'])
  if (prompt !== undefined && prompt !== 'select_account') throw new GatehouseError('query_unknown', { detail: 'the only prompt is select_account' })
  if (cookieValues(request.headers.cookie, cookies.names.session).length > 1) throw new GatehouseError('session_cookie_doubled', { remedy: 'The person clears the cookies of this site; another application on the same domain sets one of our name.' })
  const returnTo = wantedReturn(rd, request, options)
  if (!isPublicHost(request, publicUrl)) {
    request.log.warn({ host: request.host }, 'sent on to publicUrl; if this repeats without end, the proxy does not pass the Host header on')
    return reply.redirect(`${publicUrl}/oauth2/start?${new URLSearchParams({ rd: returnTo, ...(prompt === undefined ? {} : { prompt }) })}`, 302)
  }
  return toEntra(returnTo, { request, reply }, { prompt })
}

async function callback(toEntra: Entra, options: LoginOptions, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { flows, cookies, pages, publicUrl } = options
  const answer = queryParameters(request.query, CALLBACK, { ignoreUnknown: true })
  if (answer.state === undefined || answer.state === '') throw new GatehouseError('state_missing')
  const [binding, doubled] = cookieValues(request.headers.cookie, cookies.names.binding)
  const flow = flows.open(answer.state, doubled === undefined ? binding : undefined)
  const began = performance.now()
  const count = (result: string) => options.meter.login(result, (performance.now() - began) / 1000)
  try {
    await options.signedIn(await complete(flow, answer, options, request), reply)
    count('ok')
    request.span?.set({ 'gatehouse.result': 'ok' })
    return reply.redirect(flow.returnTo, 302)
  } catch (thrown) {
    const error = asGatehouseError(thrown)
    count(error.code)
    request.span?.set({ 'gatehouse.result': error.code })
    const again = MENDED_BY_SIGNING_IN_AGAIN.has(error.code) && !flow.again
    request.log[error.status >= 500 ? 'error' : 'warn']({ ...errorFacts(error), client: request.ip }, `login failed: ${error.code}${again ? '; the person is sent to sign in again, once' : ''}`)
    if (again) return toEntra(flow.returnTo, { request, reply }, { again, claims: error.facts.claims as string | undefined })
    const retryUrl = `${publicUrl}/oauth2/start?${new URLSearchParams({ rd: flow.returnTo, prompt: 'select_account' })}`
    return sendError(error, request, reply, pages, { retryUrl })
  }
}

/** Redeems the code and signs this browser in, or throws. @returns the session's id */
async function complete(flow: Flow, answer: Readonly<Partial<Record<typeof CALLBACK[number], string>>>, options: LoginOptions, request: FastifyRequest): Promise<string> {
  if (answer.error !== undefined) throw options.entraError(answer)
  if (answer.code === undefined || answer.code === '') throw new GatehouseError('callback_malformed', { detail: 'neither code nor error' })
  const id = newSessionId()
  await options.login({
    grant: { code: answer.code, codeVerifier: flow.codeVerifier, nonce: flow.nonce, correlationId: request.id },
    flow: flowHash(flow),
    session: { id, publicId: newPublicSessionId(), replaces: request.session.record === undefined ? undefined : request.session.sessionId },
  })
  request.nextSessionId = id
  await request.session.regenerate()
  request.session.set('writtenAt', Date.now())
  return id
}
