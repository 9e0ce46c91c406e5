// The pages that people open. Pages that send a person to Entra ID are rate limited before a session is looked up.
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { openTo } from '../../core/applications.js'
import { errorFacts } from '../../core/errors.js'
import type { FlowSealer } from '../../core/login-flow.js'
import type { SessionStore } from '../../core/session.js'
import type { SessionCache } from '../../core/session-cache.js'
import type { Siblings } from '../../core/siblings.js'
import type { Tracer } from '../../core/tracer.js'
import { asGatehouseError } from '../errors.js'
import type { AccessInForce } from '../forward-auth/authorizer.js'
import { COMMON_LIMITS, limitStore, sessionLimit } from '../limits.js'
import { traceRequests } from '../request-tracing.js'
import { callbackLimitExemption } from './callback-limit-exemption.js'
import { frontChannelLogoutRoutes } from './front-channel-logout.js'
import { homeRoutes, type HomeOptions } from './home.js'
import { refreshRoutes, type SetIdentityCookie } from './identity-cookie.js'
import { loginRoutes } from './login.js'
import type { LoginOptions } from './login-options.js'
import { browserSession, type BrowserSessionOptions } from './session-plugin.js'
import { evictSessions, signOutRoutes } from './sign-out.js'
import { refuseSpeculation } from './prefetch.js'

export interface BrowserScopeOptions
  extends
    Omit<LoginOptions, 'signedIn'>,
    Omit<BrowserSessionOptions, 'sessions'>,
    Pick<HomeOptions, 'rightsOf' | 'signer'> {
  readonly sessions: SessionStore
  readonly cache: SessionCache
  readonly flows: FlowSealer
  readonly tracer: Tracer
  readonly endSession: string
  /** Requests of one client address per minute (server.rateLimit). */
  readonly maxRequests: number
  /** The other workers of this machine: the limits are those of all of them together. */
  readonly siblings: Siblings | undefined
  readonly accessInForce: () => AccessInForce
  /** Undefined: there always is one. @throws GatehouseError `policy_missing`, `policy_unusable` */
  readonly requirePolicy: (() => void) | undefined
  /** Undefined: no identity cookie is configured. */
  readonly setIdentityCookie: SetIdentityCookie | undefined
}

export async function browserScope(browser: FastifyInstance, options: BrowserScopeOptions): Promise<void> {
  const { cookies, tracer, trusts, maxRequests, siblings } = options
  traceRequests(browser, { tracer, trusts })
  await browser.register(cookie, {
    parseOptions: { path: '/', httpOnly: true, sameSite: 'lax', secure: cookies.secure },
  })
  await browser.register(formbody)
  await browser.register(rateLimit, { ...COMMON_LIMITS, ...limitStore(siblings, 'pages'), max: maxRequests })
  browser.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'vary': 'Cookie' })
  })
  await browser.register(signInScope, options)
  await browser.register(signOutScope, options)
  await browser.register(async (framed) => { // no session is looked up here
    framed.addHook('onRequest', framed.rateLimit())
    await framed.register(frontChannelLogoutRoutes, options)
  })
  await browser.register(signedInScope, options)
}

async function signInScope(scope: FastifyInstance, options: BrowserScopeOptions): Promise<void> {
  scope.addHook('onRequest', scope.rateLimit(callbackLimitExemption(options))) // guard: adv-rate-limit
  scope.addHook('onRequest', async () => options.requirePolicy?.()) // guard: policy-missing-sign-in
  await scope.register(refuseSpeculation, options) // guard: adv-prefetch-sign-in
  await scope.register(browserSession, options)
  await scope.register(loginRoutes, {
    ...options,
    signedIn: (id, reply) => withIdentityCookie(id, reply, options),
  })
}

async function signOutScope(scope: FastifyInstance, options: BrowserScopeOptions): Promise<void> {
  const { cookies, signer, cache } = options
  scope.addHook('onRequest', scope.rateLimit())
  await scope.register(refuseSpeculation, options) // guard: adv-prefetch-sign-out
  scope.addHook('onRequest', async (request) => {
    evictSessions(request, cookies, signer, cache)
  }) // also where nothing can be written
  await scope.register(browserSession, options)
  await scope.register(signOutRoutes, options)
}

/** The home page and the renewal of the identity cookie: rate limited by session. */
async function signedInScope(scope: FastifyInstance, options: BrowserScopeOptions): Promise<void> {
  const { cookies, signer, pages, accessInForce, setIdentityCookie, publicUrl, returnTo } = options
  scope.addHook('onRequest', scope.rateLimit(sessionLimit(cookies.names.session, signer))) // guard: adv-session-limit
  await scope.register(browserSession, options)
  await scope.register(homeRoutes, {
    ...options,
    applicationsOf: (session, address) =>
      openTo({ policy: accessInForce().policy, session, address: () => address }, pages.theme().applications),
  })
  if (setIdentityCookie) await scope.register(refreshRoutes, { publicUrl, returnTo, setIdentityCookie })
}

/** A user in too many groups for a cookie is signed in without it; /oauth2/refresh reports the reason. */
async function withIdentityCookie(
  id: string,
  reply: FastifyReply,
  { sessions, setIdentityCookie }: BrowserScopeOptions,
): Promise<void> {
  const session = setIdentityCookie && await sessions.find(id)
  if (!setIdentityCookie || !session) return
  await setIdentityCookie(session, reply).catch((thrown: unknown) => {
    const error = asGatehouseError(thrown)
    reply.log.warn(errorFacts(error), 'signed in without an identity cookie')
  })
}
