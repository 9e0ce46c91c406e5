// The browser's two steps of a login: away to Entra (login-start.ts), and back. Everything is checked before it is
// acted on: the state and the browser before the code is redeemed, `rd` before anybody is sent anywhere.
import fastifyOauth2 from '@fastify/oauth2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errorFacts, GatehouseError, MENDED_BY_SIGNING_IN_AGAIN } from '../../core/errors.js'
import { flowHash, type Flow, type FlowSealer } from '../../core/flow.js'
import type { LoginOutcome, LoginRequest } from '../../core/login.js'
import type { LongReturns } from '../../core/long-returns.js'
import type { Meter } from '../../core/meter.js'
import type { ReturnToRules } from '../../core/return-to.js'
import { newPublicSessionId, newSessionId } from '../../core/session.js'
import { clearBinding, sentBinding } from './binding.js'
import type { CookiePolicy } from '../cookies.js'
import { asGatehouseError, sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import { sendToReturnAddress, restoreReturnAddress } from './long-return.js'
import {
  sessionMark,
  start,
  createEntraRedirect,
  type AuthorizeUrlBuilder,
  type RedirectToEntra,
} from './login-start.js'
import type { TrustedPeers } from '../../net/networks.js'
import { consentPage } from '../pages/consent.js'
import { sendPage, type PageSettings } from '../pages/layout.js'
import { queryParameters } from '../query.js'
import type { LoginLoopDetector } from './login-loop.js'
import { recoverCallback } from './callback-recovery.js'
import { startUrl } from './return-to.js'

declare module 'fastify' {
  interface FastifyInstance {
    entra: AuthorizeUrlBuilder
  }
}

export interface LoginOptions {
  readonly publicUrl: string
  readonly clientId: string
  readonly authority: string
  readonly authorizePath: string
  readonly scopes: readonly string[]
  readonly flows: FlowSealer
  readonly loginLoop: LoginLoopDetector
  readonly longReturns: LongReturns
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly trusts: TrustedPeers
  readonly login: (request: LoginRequest) => Promise<LoginOutcome>
  /** An error that Entra sent to the callback, as ours. */
  readonly entraError: (answer: Readonly<Record<string, string | undefined>>) => GatehouseError
  readonly pages: PageSettings
  readonly meter: Pick<Meter, 'login' | 'loginStarted'>
  /** Called with the new session's id. */
  readonly signedIn: (sessionId: string, reply: FastifyReply) => Promise<void>
}

const CALLBACK = [
  'code',
  'state',
  'error',
  'error_description',
  'error_subcode',
  'error_uri',
  'session_state',
  'admin_consent',
  'tenant',
] as const
const STATE_MISSING = 'If this repeats, something between Entra ID and Gatehouse takes the query off ' +
  '/oauth2/callback (a proxy, a firewall, a rewrite rule); otherwise somebody opened the address by hand.'
type Answer = Readonly<Partial<Record<(typeof CALLBACK)[number], string>>>

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
  const redirectToEntra = createEntraRedirect(scope.entra, callbackUri, options)
  scope.get('/oauth2/start', async (request, reply) => start(redirectToEntra, options, { request, reply }))
  scope.get('/oauth2/callback', async (request, reply) => callback(redirectToEntra, options, { request, reply }))
}

async function callback(
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  browser: HttpExchange,
): Promise<FastifyReply> {
  const { request, reply } = browser
  const { flows, cookies, loginLoop } = options
  const answer = queryParameters(request.query, CALLBACK)
  if (isConsent(answer, flows)) return sendPage(reply, 200, consentPage(answer, options.publicUrl), options.pages)
  if (answer.state === undefined || answer.state === '') {
    throw new GatehouseError('state_missing', { remedy: STATE_MISSING })
  }
  const opened = flows.open(answer.state, (flow) => sentBinding(flow, browser, cookies))
  clearBinding(opened.flow, browser, cookies)
  if (opened.fault !== undefined) return recoverCallback(opened, redirectToEntra, options, browser)
  const flow = await restoreReturnAddress(opened.flow, options.longReturns, options.returnTo)
  const began = performance.now()
  const count = (result: string) => options.meter.login(result, (performance.now() - began) / 1000)
  try {
    await options.signedIn(await complete(flow, answer, options, request), reply)
    count('ok')
    request.span?.set({ 'gatehouse.result': 'ok' })
    loginLoop.recordCompleted(flow.returnTo, flow.round, browser)
    return sendToReturnAddress(flow, browser, options.pages)
  } catch (thrown) {
    const error = asGatehouseError(thrown)
    const isBack = error.code === 'state_replayed' && request.session.record !== undefined
    if (isBack) return sendToReturnAddress(flow, browser, options.pages)
    count(error.code)
    request.span?.set({ 'gatehouse.result': error.code })
    return failed(error, flow, redirectToEntra, options, browser)
  }
}

/** The answer to an administrator who opened the address for consent: no sign-in of ours began it. */
function isConsent({ admin_consent: consent, code, state = '' }: Answer, flows: FlowSealer): boolean {
  return consent !== undefined && code === undefined && flows.idOf(state) === undefined
}

function failed(
  error: GatehouseError,
  flow: Flow,
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  browser: HttpExchange,
): FastifyReply | Promise<FastifyReply> {
  const { request, reply } = browser
  const { returnTo, kept, anew, chain, pick, round } = flow
  const again = MENDED_BY_SIGNING_IN_AGAIN.has(error.code) && !flow.again
  const level = error.status >= 500 ? 'error' : 'warn'
  const then = again ? '; the person is sent to sign in again, once' : ''
  request.log[level]({ ...errorFacts(error), client: request.ip }, `login failed: ${error.code}${then}`)
  const { claims } = error.facts
  if (again) {
    const next = { returnTo, kept, anew, chain, pick, round, again }
    return redirectToEntra(next, browser, typeof claims === 'string' ? { claims } : {})
  }
  // Another account may be what helps, where it is about the person.
  const retryUrl = startUrl(
    options.publicUrl,
    returnTo,
    error.status === 403 || pick ? { prompt: 'select_account' } : {},
  )
  return sendError(error, request, reply, options.pages, { retryUrl })
}

/** Redeems the code and signs this browser in, or throws. @returns the session's id */
async function complete(flow: Flow, answer: Answer, options: LoginOptions, request: FastifyRequest): Promise<string> {
  if (answer.error !== undefined) throw options.entraError(answer)
  if (answer.code === undefined || answer.code === '') {
    throw new GatehouseError('callback_malformed', { detail: 'neither code nor error' })
  }
  const old = request.session.record === undefined ? undefined : request.session.sessionId
  const sibling = old !== undefined && sessionMark(old) !== flow.session
  const session = { id: newSessionId(), publicId: newPublicSessionId(), replaces: old, sibling }
  const { nonce, codeVerifier } = flow
  const outcome = await options.login({
    grant: { code: answer.code, codeVerifier, nonce, correlationId: request.id },
    flow: flowHash(flow),
    session,
    client: request.ip,
  })
  if (old !== undefined && outcome.session !== session.publicId) return old
  request.nextSessionId = session.id
  await request.session.regenerate()
  request.session.set('writtenAt', Date.now())
  return session.id
}
