// The redirect to Entra ID, with a new flow that is bound to this browser.
import { createHash } from 'node:crypto'
import fastifyOauth2 from '@fastify/oauth2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { NewFlow } from '../../core/login-flow.js'
import { sessionIdHash } from '../../core/session.js'
import { contextRequest } from '../../core/step-up.js'
import type { HttpExchange } from '../http-exchange.js'
import { bindingFor } from './binding.js'
import type { LoginOptions } from './login-options.js'
import { shortenForState, storeLongReturn } from './long-return.js'

declare module 'fastify' {
  interface FastifyInstance {
    entra: AuthorizeUrlBuilder
  }
}

/** The part of the plugin that is used here. Additional parameters are passed through to the authorize URL. */
interface AuthorizeUrlBuilder {
  readonly oauth2: { authorizeURL(parameters: Readonly<Record<string, string>>): string }
}

/**
 * The plugin only builds the authorize URL; it does not receive the secret (docs/decisions/fastify-oauth2.md).
 * @param scope gets no route of it
 */
export async function registerEntraRedirect(scope: FastifyInstance, options: LoginOptions): Promise<RedirectToEntra> {
  const { publicUrl, clientId, authority, authorizePath, scopes } = options
  const callbackUri = `${publicUrl}/oauth2/callback`
  await scope.register(fastifyOauth2, {
    name: 'entra',
    scope: [...scopes],
    callbackUri,
    credentials: {
      client: { id: clientId, secret: 'the token request is not made here' },
      auth: { authorizeHost: authority, authorizePath, tokenHost: authority, tokenPath: '/' },
    },
  })
  return createEntraRedirect(scope.entra, callbackUri, options)
}

/** @param extra additional parameters of the authorization request: claims, login_hint, domain_hint */
export type RedirectToEntra = (
  flow: NewFlow,
  exchange: HttpExchange,
  extra?: Readonly<Record<string, string>>,
) => Promise<FastifyReply>

function createEntraRedirect(
  entra: AuthorizeUrlBuilder,
  redirectUri: string,
  options: LoginOptions,
): RedirectToEntra {
  const { flows, cookies, scopes, longReturns, meter } = options
  return async (newFlow, exchange, extra = {}) => {
    const binding = bindingFor(newFlow.restarted === true, exchange, cookies)
    const session = newFlow.session ?? ownSessionMark(exchange.request)
    const { flow, state } = flows.begin({ ...shortenForState(newFlow), session }, binding.value)
    if (flow.returnTo !== newFlow.returnTo) await storeLongReturn(flow, newFlow.returnTo, longReturns, exchange)
    binding.setCookie(flow.id)
    const acrs = flow.stepUp?.acrs
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
        ...(flow.stepUp === undefined ? {} : { prompt: 'login' }), // guard: admin-prompt-login
        ...extra,
        // guard: admin-acrs-asked
        ...(acrs === undefined ? {} : { claims: contextRequest(acrs, extra['claims']) }),
      }),
      302,
    )
  }
}

/** Undefined: no session, or a scope that does not read it. */
function ownSessionMark({ session }: Pick<FastifyRequest, 'session'>): string | undefined {
  const { record, sessionId } = (session ?? {}) as Partial<FastifyRequest['session']>
  return record === undefined || sessionId === undefined ? undefined : sessionMark(sessionId)
}

/** Identifies the browser's session at the start of a flow, so that the callback can detect another one. */
export function sessionMark(sessionId: string): string {
  return sessionIdHash(sessionId).toString('base64url').slice(0, 16)
}
