// How one gets into the console and out of it: networks, the sign-in of page loads without an admin session, the
// step-up, the sign-out. Registered in the scope that has the pages and the API: what it adds holds for both.
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { GatehouseError } from '../../core/errors.js'
import { sessionIdHash } from '../../core/session.js'
import type { Siblings } from '../../core/siblings.js'
import type { StepUp } from '../../core/step-up.js'
import { registerEntraRedirect } from '../browser/entra-redirect.js'
import type { LoginOptions } from '../browser/login-options.js'
import { asGatehouseError } from '../errors.js'
import type { HttpExchange } from '../http-exchange.js'
import { COMMON_LIMITS, limitStore } from '../limits.js'
import { isNavigation } from '../navigation.js'
import { sendPage } from '../pages/layout.js'
import { queryParameters } from '../query.js'
import type { AdminSessionStore } from '../../core/admin-session.js'
import type { AdminGuard } from './actor.js'
import { isApiRequest } from './api/problem.js'
import { adminReturn, SIGN_IN_PATHS } from './admin-return.js'
import { requireOwnForm, type FormTokens } from './form-token.js'
import { hintOf, signInToConsole, type AdminSignInDeps } from './sign-in.js'
import { consoleSignedOutPage } from './signed-out-page.js'

export interface AdminEntryOptions extends Omit<LoginOptions, 'signedIn'>, Omit<AdminSignInDeps, 'redirectToEntra'> {
  readonly guard: AdminGuard
  readonly adminSessions: Pick<AdminSessionStore, 'find' | 'end'>
  readonly formTokens: FormTokens
  readonly isOutside: (request: FastifyRequest) => boolean
  /** Requests of one client address per minute (server.rateLimit). */
  readonly maxRequests: number
  readonly siblings: Siblings | undefined
  /** admin.acrs: the authentication context that a step-up asks for. */
  readonly acrs: string | undefined
}

export const adminEntry = fp(async (scope: FastifyInstance, options: AdminEntryOptions) => {
  const { cookies, isOutside, siblings, maxRequests, publicUrl } = options
  scope.addHook('onRequest', async (request) => {
    if (isOutside(request)) throw new GatehouseError('not_found') // guard: admin-networks-everything
  })
  await scope.register(cookie, { parseOptions: { path: '/', httpOnly: true, sameSite: 'lax', secure: cookies.secure } })
  const signIn = {
    ...options,
    redirectToEntra: await registerEntraRedirect(scope, { ...options, signedIn: async () => {} }),
  }
  scope.setErrorHandler(async (thrown, request, reply) => {
    const isDue = asGatehouseError(thrown).code === 'admin_sign_in_required' && !isApiRequest(request)
    if (!isDue) throw thrown
    return await signInToConsole(`${publicUrl}${request.url}`, { request, reply }, signIn)
  })
  await scope.register(async (routes) => {
    await routes.register(formbody)
    await routes.register(rateLimit, { ...COMMON_LIMITS, ...limitStore(siblings, 'pages'), max: maxRequests })
    routes.addHook('onRequest', routes.rateLimit())
    routes.get(SIGN_IN_PATHS.stepUp, async (request, reply) => stepUp({ request, reply }, signIn))
    routes.post(SIGN_IN_PATHS.signOut, async (request, reply) => signOut({ request, reply }, options))
  })
})

type SignIn = AdminEntryOptions & AdminSignInDeps

/** A fresh sign-in of the user who is signed in to the console; without an admin session, the sign-in to it. */
async function stepUp(exchange: HttpExchange, options: SignIn) {
  const { request, reply } = exchange
  const { guard, adminSessions, adminCookie, publicUrl, redirectToEntra, acrs } = options
  const { rd } = queryParameters(request.query, ['rd'])
  const returnTo = adminReturn(rd, publicUrl)
  const actor = await guard.authenticate(request, 'gatehouse.read').catch((thrown: unknown) => {
    if (asGatehouseError(thrown).code === 'admin_sign_in_required') return undefined
    throw thrown
  })
  const id = adminCookie.read(request.headers.cookie)
  if (actor === undefined || id === undefined) return await signInToConsole(returnTo, exchange, options)
  if (!isNavigation(request.headers)) return reply.header('hx-redirect', request.url).code(204).send()
  const wish: StepUp = {
    purpose: 'admin',
    session: actor.sessionId,
    userId: actor.userId,
    adminSession: sessionIdHash(id).toString('base64url'),
    acrs,
  }
  return await redirectToEntra({ returnTo, stepUp: wish }, exchange, hintOf(await adminSessions.find(id)))
}

/** Answers with a page and a link: no form may lead to another origin. */
async function signOut({ request, reply }: HttpExchange, options: AdminEntryOptions) {
  const { guard, adminSessions, adminCookie, publicUrl, formTokens, pages } = options
  const actor = await guard.authenticate(request, 'gatehouse.read')
  const { _csrf: given } = queryParameters(request.body ?? {}, ['_csrf'])
  requireOwnForm(request, actor, given, { publicUrl, formTokens }) // guard: admin-sign-out-form
  await adminSessions.end(actor.sessionId, request.id)
  adminCookie.clear(reply, SIGN_IN_PATHS.signOut)
  return sendPage(reply, 200, consoleSignedOutPage(publicUrl), pages)
}
