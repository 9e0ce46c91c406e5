// The first step of a login: away to Entra ID, with a new flow that is tied to this browser.
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { GatehouseError } from '../../core/errors.js'
import type { NewFlow } from '../../core/flow.js'
import { sessionIdHash } from '../../core/session.js'
import { bindingFor } from './binding.js'
import { cookieValues, cookieScopes } from '../cookies.js'
import { pathOf, sendError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import type { LoginOptions } from './login.js'
import { shortenForState, storeLongReturn } from './long-return.js'
import { queryParameters } from '../query.js'
import { lostCookie, MOST_ROUNDS } from './login-loop.js'
import { isPublicHost, startUrl, requestedReturnTo } from './return-to.js'

/** What we use of the plugin's namespace; extra parameters pass through to the address. */
export interface AuthorizeUrlBuilder {
  readonly oauth2: { authorizeURL(parameters: Readonly<Record<string, string>>): string }
}

/** @param wish what Entra ID is asked beside who this is: claims, login_hint, domain_hint */
export type RedirectToEntra = (
  flow: NewFlow,
  browser: HttpExchange,
  wish?: Readonly<Record<string, string>>,
) => Promise<FastifyReply>

/** The way to Entra ID. */
export function createEntraRedirect(
  entra: AuthorizeUrlBuilder,
  redirectUri: string,
  options: LoginOptions,
): RedirectToEntra {
  const { flows, cookies, scopes, longReturns, meter } = options
  return async (wanted, browser, wish = {}) => {
    const {
      session: { record, sessionId },
    } = browser.request
    const binding = bindingFor(wanted.anew === true, browser, cookies)
    const session = record === undefined ? undefined : sessionMark(sessionId)
    const { flow, state } = flows.begin({ ...shortenForState(wanted), session }, binding.value)
    if (flow.returnTo !== wanted.returnTo) await storeLongReturn(flow, wanted.returnTo, longReturns, browser)
    binding.give(flow.id)
    meter.loginStarted()
    return browser.reply.redirect(
      entra.oauth2.authorizeURL({
        redirect_uri: redirectUri,
        scope: scopes.join(' '),
        state,
        nonce: flow.nonce,
        response_mode: 'query',
        code_challenge: createHash('sha256').update(flow.codeVerifier).digest('base64url'),
        code_challenge_method: 'S256',
        ...(flow.pick ? { prompt: 'select_account' } : {}),
        ...wish,
      }),
      302,
    )
  }
}

/** Tells whether the browser still has the session that it had when the flow began. */
export function sessionMark(sessionId: string): string {
  return sessionIdHash(sessionId).toString('base64url').slice(0, 16)
}

const START = ['rd', 'prompt', 'login_hint', 'domain_hint'] as const
const PICK = { prompt: 'select_account' }

export async function start(
  redirectToEntra: RedirectToEntra,
  options: LoginOptions,
  browser: HttpExchange,
): Promise<FastifyReply> {
  const { request, reply } = browser
  const { publicUrl } = options
  const { rd, prompt, ...hints } = queryParameters(request.query, START)
  if (prompt !== undefined && prompt !== PICK.prompt) {
    throw new GatehouseError('query_unknown', { detail: 'the only prompt is select_account' })
  }
  clearDoubled(options, browser)
  const returnTo = requestedReturnTo(rd, request, options)
  const pick = prompt !== undefined
  if (!isPublicHost(request, publicUrl)) {
    request.log.warn(
      { host: request.host },
      'sent on to publicUrl; if this repeats, the proxy does not pass the Host header on',
    )
    return reply.redirect(startUrl(publicUrl, returnTo, { ...(pick ? PICK : {}), ...usable(hints) }), 302)
  }
  const counted = !pick && !arrives(returnTo, publicUrl, request)
  const round = counted ? options.loginLoop.nextRound(returnTo, request) : undefined
  if (round !== undefined && round.count > MOST_ROUNDS) return stopLoop(returnTo, options, browser)
  return redirectToEntra({ returnTo, pick, ...(round === undefined ? {} : { round }) }, browser, usable(hints))
}

function stopLoop(
  returnTo: string,
  { cookies, publicUrl, loginLoop, pages }: LoginOptions,
  browser: HttpExchange,
): FastifyReply {
  const { request, reply } = browser
  const lost = lostCookie(returnTo, cookies, publicUrl)
  const detail = `the cookie ${lost.cookie} does not reach ${lost.host}`
  const facts = { code: 'sign_in_loop', ...lost, remedy: lost.reason, client: request.ip }
  request.log.warn(facts, `endless sign-in stopped: ${detail}`)
  loginLoop.clear(browser) // "Try again" does try
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

/** For a page of ours whose session's cookie came with this very request nothing is lost. */
function arrives(returnTo: string, publicUrl: string, request: FastifyRequest): boolean {
  return new URL(returnTo).origin === publicUrl && request.session.record !== undefined
}

/** Which of two session cookies is ours cannot be told: both go, and the sign-in goes on. */
function clearDoubled({ cookies: { names }, publicUrl }: LoginOptions, { request, reply }: HttpExchange): void {
  if (cookieValues(request.headers.cookie, names.session).length < 2) return
  request.log.warn(
    { cookie: names.session, client: request.ip },
    'two session cookies: the name is cleared for the host and every domain above it, and the sign-in goes on',
  )
  for (const name of [names.session, names.identity]) {
    for (const place of cookieScopes(name, publicUrl, pathOf(request))) reply.clearCookie(name, place)
  }
}

/** What others say of the person, where it can be what it says it is; Entra ID decides what it is worth. */
function usable({ login_hint: login, domain_hint: domain }: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...(login !== undefined && /^[^\p{C}\p{Z}<>"]{1,512}$/u.test(login) ? { login_hint: login } : {}),
    ...(domain !== undefined && /^[a-z\d.-]{1,253}$/i.test(domain) ? { domain_hint: domain } : {}),
  }
}
