// The routes of a login: the redirect to Entra ID (login-start.ts) and the callback. Input is validated before it is
// used: the state and the browser binding before the code is redeemed, `rd` before any redirect.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errorFacts, GatehouseError, RETRY_WITH_NEW_SIGN_IN } from '../../core/errors.js'
import { flowHash, type Flow, type FlowSealer } from '../../core/login-flow.js'
import { newPublicSessionId, newSessionId } from '../../core/session.js'
import { clearBinding, sentBinding } from './binding.js'
import { asGatehouseError, sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import type { LoginOptions } from './login-options.js'
import { redirectToReturnAddress, restoreReturnAddress } from './long-return.js'
import { registerEntraRedirect, sessionMark, type RedirectToEntra } from './entra-redirect.js'
import { startLogin } from './login-start.js'
import { consentPage } from '../pages/consent.js'
import { sendPage } from '../pages/layout.js'
import { continuePage } from '../pages/pages.js'
import { sessionClient } from '../session-client.js'
import { queryParameters } from '../query.js'
import { recoverCallback } from './callback-recovery.js'
import { startUrl } from './return-to.js'
import { stepUpContext } from './step-up.js'

const CALLBACK_PARAMETERS = [
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
const STATE_MISSING = 'If this repeats, something between Entra ID and Gatehouse removes the query from ' +
  '/oauth2/callback (a proxy, a firewall, a rewrite rule); otherwise the address was opened directly.'
type CallbackQuery = Readonly<Partial<Record<(typeof CALLBACK_PARAMETERS)[number], string>>>

export async function loginRoutes(scope: FastifyInstance, options: LoginOptions): Promise<void> {
  const redirectToEntra = await registerEntraRedirect(scope, options)
  scope.get('/oauth2/start', async (request, reply) => startLogin(redirectToEntra, options, { request, reply }))
  scope.get('/oauth2/callback', async (request, reply) => handleCallback(redirectToEntra, options, { request, reply }))
}

async function handleCallback(
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  exchange: HttpExchange,
): Promise<FastifyReply> {
  const { request, reply } = exchange
  const { flows, cookies, loginLoop } = options
  const answer = queryParameters(request.query, CALLBACK_PARAMETERS)
  // guard: adv-consent
  if (isConsentResult(answer, flows)) return sendPage(reply, 200, consentPage(answer, options.publicUrl), options.pages)
  if (answer.state === undefined || answer.state === '') {
    throw new GatehouseError('state_missing', { remedy: STATE_MISSING })
  }
  const opened = flows.open(answer.state, (flow) => sentBinding(flow, exchange, cookies))
  clearBinding(opened.flow, exchange, cookies)
  if (opened.fault !== undefined) return recoverCallback(opened, redirectToEntra, options, exchange)
  const flow = await restoreReturnAddress(opened.flow, options.longReturns, options.returnTo)
  const began = performance.now()
  const count = (result: string) => options.meter.login(result, (performance.now() - began) / 1000)
  try {
    const session = await completeLogin(flow, answer, options, request)
    await options.signedIn(session.id, reply)
    if (flow.stepUp) await options.steppedUp?.(flow.stepUp, session.publicId, exchange)
    count('ok')
    request.span?.set({ 'gatehouse.result': 'ok' })
    loginLoop.recordCompleted(flow.returnTo, flow.round, exchange)
    return finishLogin(flow, exchange, options)
  } catch (thrown) {
    const error = asGatehouseError(thrown)
    // guard: adv-spent-back, adv-browser-back
    const isReload = error.code === 'state_replayed' && request.session.record !== undefined
    if (isReload) return redirectToReturnAddress(flow, exchange, options.pages)
    count(error.code)
    request.span?.set({ 'gatehouse.result': error.code })
    return handleFailure(error, flow, redirectToEntra, options, exchange)
  }
}

function finishLogin(flow: Flow, exchange: HttpExchange, { pages }: LoginOptions): FastifyReply {
  if (flow.stepUp === undefined || flow.addressStored) return redirectToReturnAddress(flow, exchange, pages)
  return sendPage(exchange.reply, 200, continuePage('You are signed in', flow.returnTo), pages)
}

/** The result of an administrator's consent: the address for consent starts no sign-in and has no state of ours. */
function isConsentResult({ admin_consent: consent, code, state = '' }: CallbackQuery, flows: FlowSealer): boolean {
  return consent !== undefined && code === undefined && flows.idOf(state) === undefined // guard: adv-consent-login
}

function handleFailure(
  error: GatehouseError,
  flow: Flow,
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  exchange: HttpExchange,
): FastifyReply | Promise<FastifyReply> {
  const { request, reply } = exchange
  const { returnTo, addressStored, restarted, chain, selectAccount, round, stepUp } = flow
  const retry = RETRY_WITH_NEW_SIGN_IN.has(error.code) && !flow.retry
  const level = error.status >= 500 ? 'error' : 'warn'
  const then = retry ? '; redirected to sign in again, once' : ''
  request.log[level]({ ...errorFacts(error), client: request.ip }, `login failed: ${error.code}${then}`)
  const { claims } = error.facts
  if (retry) {
    // guard: adv-chain-again
    const next = { returnTo, addressStored, restarted, chain, selectAccount, round, stepUp, retry }
    return redirectToEntra(next, exchange, typeof claims === 'string' ? { claims } : {})
  }
  if (stepUp) return sendError(error, request, reply, options.pages, stepUpContext(error, returnTo, options.publicUrl))
  // 403: the account is the cause, so the user may choose another one.
  const retryUrl = startUrl(
    options.publicUrl,
    returnTo,
    error.status === 403 || selectAccount ? { prompt: 'select_account' } : {},
  )
  return sendError(error, request, reply, options.pages, { retryUrl })
}

interface CompletedLogin {
  /** Of the session cookie that the browser has after this answer. */
  readonly id: string
  readonly publicId: string | null
}

/** Redeems the code and creates the browser's session, or renews it. @throws the reason of the failure */
async function completeLogin(
  flow: Flow,
  answer: CallbackQuery,
  options: LoginOptions,
  request: FastifyRequest,
): Promise<CompletedLogin> {
  if (answer.error !== undefined) throw options.entraError(answer) // guard: refusal-of-entra
  if (answer.code === undefined || answer.code === '') {
    throw new GatehouseError('callback_malformed', { detail: 'neither code nor error' })
  }
  const old = request.session.record === undefined ? undefined : request.session.sessionId
  const sibling = old !== undefined && sessionMark(old) !== flow.session // guard: adv-siblings-fixation
  const renews = flow.stepUp?.session === request.session.record?.publicId ? flow.stepUp?.session : undefined
  const client = options.recordClient ? sessionClient(request, new URL(flow.returnTo).hostname) : undefined
  const session = { id: newSessionId(), publicId: newPublicSessionId(), replaces: old, sibling, renews, client }
  const { nonce, codeVerifier } = flow
  const outcome = await options.login({
    grant: { code: answer.code, codeVerifier, nonce, correlationId: request.id },
    flow: flowHash(flow),
    session,
    client: request.ip,
    stepUp: flow.stepUp && { ...flow.stepUp, beganAt: flow.beganAt },
  })
  const { session: publicId } = outcome
  if (old !== undefined && outcome.keepsId) return { id: old, publicId }
  request.nextSessionId = session.id
  await request.session.regenerate()
  request.session.set('writtenAt', Date.now())
  return { id: session.id, publicId }
}
