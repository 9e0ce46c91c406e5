// The first step of a login: the return address is checked, then the browser is redirected to Entra ID.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { RedirectToEntra } from './entra-redirect.js'
import { cookieValues, cookieScopes } from '../cookies.js'
import { pathOf, sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import type { LoginOptions } from './login-options.js'
import { queryParameters } from '../query.js'
import { lostCookie, MAX_ROUNDS } from './login-loop.js'
import { isPublicHost, startUrl, requestedReturnTo } from './return-to.js'

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
