// The first step of a login: the redirect to Entra ID, with a new flow that is bound to this browser.
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { NewFlow } from '../../core/login-flow.js'
import { sessionIdHash } from '../../core/session.js'
import { bindingFor } from './binding.js'
import { cookieValues, cookieScopes } from '../cookies.js'
import { pathOf, sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import type { LoginOptions } from './login-options.js'
import { shortenForState, storeLongReturn } from './long-return.js'
import { queryParameters } from '../query.js'
import { lostCookie, MAX_ROUNDS } from './login-loop.js'
import { isPublicHost, startUrl, requestedReturnTo } from './return-to.js'

/** The part of the plugin that is used here. Additional parameters are passed through to the authorize URL. */
export interface AuthorizeUrlBuilder {
  readonly oauth2: { authorizeURL(parameters: Readonly<Record<string, string>>): string }
}

/** @param extra additional parameters of the authorization request: claims, login_hint, domain_hint */
export type RedirectToEntra = (
  flow: NewFlow,
  exchange: HttpExchange,
  extra?: Readonly<Record<string, string>>,
) => Promise<FastifyReply>

export function createEntraRedirect(
  entra: AuthorizeUrlBuilder,
  redirectUri: string,
  options: LoginOptions,
): RedirectToEntra {
  const { flows, cookies, scopes, longReturns, meter } = options
  return async (newFlow, exchange, extra = {}) => {
    const {
      session: { record, sessionId },
    } = exchange.request
    const binding = bindingFor(newFlow.restarted === true, exchange, cookies)
    const session = record === undefined ? undefined : sessionMark(sessionId)
    const { flow, state } = flows.begin({ ...shortenForState(newFlow), session }, binding.value)
    if (flow.returnTo !== newFlow.returnTo) await storeLongReturn(flow, newFlow.returnTo, longReturns, exchange)
    binding.setCookie(flow.id)
    meter.loginStarted()
    return exchange.reply.redirect(
      entra.oauth2.authorizeURL({
        redirect_uri: redirectUri, // guard: adv-callback-address
        scope: scopes.join(' '),
        state,
        nonce: flow.nonce,
        response_mode: 'query',
        code_challenge: createHash('sha256').update(flow.codeVerifier).digest('base64url'),
        code_challenge_method: 'S256',
        ...(flow.selectAccount ? { prompt: 'select_account' } : {}),
        ...extra,
      }),
      302,
    )
  }
}

/** Identifies the browser's session at the start of a flow, so that the callback can detect another one. */
export function sessionMark(sessionId: string): string {
  return sessionIdHash(sessionId).toString('base64url').slice(0, 16)
}

const START_PARAMETERS = ['rd', 'prompt', 'login_hint', 'domain_hint'] as const
const SELECT_ACCOUNT = { prompt: 'select_account' }

export async function startLogin(
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  exchange: HttpExchange,
): Promise<FastifyReply> {
  const { request, reply } = exchange
  const { publicUrl } = options
  const { rd, prompt, ...hints } = queryParameters(request.query, START_PARAMETERS)
  if (prompt !== undefined && prompt !== SELECT_ACCOUNT.prompt) {
    throw new GatehouseError('query_unknown', { detail: 'the only prompt is select_account' })
  }
  clearDuplicateCookies(options, exchange) // guard: adv-doubled-start, adv-browser-narrowed
  const returnTo = requestedReturnTo(rd, request, options)
  const selectAccount = prompt !== undefined
  if (!isPublicHost(request, publicUrl)) {
    request.log.warn(
      { host: request.host },
      'redirected to publicUrl; if this repeats, the proxy does not forward the Host header',
    )
    return reply.redirect(
      startUrl(publicUrl, returnTo, { ...(selectAccount ? SELECT_ACCOUNT : {}), ...wellFormedHints(hints) }),
      302,
    )
  }
  const counted = !selectAccount && !sentSessionCookie(returnTo, publicUrl, request)
  const round = counted ? options.loginLoop.nextRound(returnTo, request) : undefined
  if (round !== undefined && round.count > MAX_ROUNDS) return stopLoop(returnTo, options, exchange) // guard: adv-loop
  return redirectToEntra(
    { returnTo, selectAccount, ...(round === undefined ? {} : { round }) },
    exchange,
    wellFormedHints(hints),
  )
}

function stopLoop(
  returnTo: string,
  { cookies, publicUrl, loginLoop, pages }: LoginOptions,
  exchange: HttpExchange,
): FastifyReply {
  const { request, reply } = exchange
  const lost = lostCookie(returnTo, cookies, publicUrl)
  const detail = `the cookie ${lost.cookie} does not reach ${lost.host}`
  const facts = { code: 'sign_in_loop', ...lost, remedy: lost.reason, client: request.ip }
  request.log.warn(facts, `endless sign-in stopped: ${detail}`)
  loginLoop.clear(exchange) // otherwise "Try again" would end on this page
  return sendError(new GatehouseError('sign_in_loop', { detail }), request, reply, pages, {
    retryUrl: startUrl(publicUrl, returnTo),
    rows: [
      ['Cookie', lost.cookie],
      ['Does not reach', lost.host],
      ['Is sent to', lost.sentTo],
      ['For the operator', lost.reason],
    ],
  })
}

/** True for a page of Gatehouse itself whose session cookie came with this request: no cookie is lost there. */
function sentSessionCookie(returnTo: string, publicUrl: string, request: FastifyRequest): boolean {
  return new URL(returnTo).origin === publicUrl && request.session.record !== undefined
}

/** Of two session cookies the valid one cannot be identified, so both are cleared and the sign-in continues. */
function clearDuplicateCookies(
  { cookies: { names }, publicUrl }: LoginOptions,
  { request, reply }: HttpExchange,
): void {
  if (cookieValues(request.headers.cookie, names.session).length < 2) return
  request.log.warn(
    { cookie: names.session, client: request.ip },
    'two session cookies: the name is cleared for the host and its parent domains; the sign-in continues',
  )
  for (const name of [names.session, names.identity]) {
    for (const place of cookieScopes(name, publicUrl, pathOf(request))) reply.clearCookie(name, place)
  }
}

/** The hints that are well-formed. They are not trusted: Entra ID decides how to use them. */
function wellFormedHints(
  { login_hint: login, domain_hint: domain }: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    ...(login !== undefined && /^[^\p{C}\p{Z}<>"]{1,512}$/u.test(login) ? { login_hint: login } : {}),
    ...(domain !== undefined && /^[a-z\d.-]{1,253}$/i.test(domain) ? { domain_hint: domain } : {}), // guard: adv-hints
  }
}
