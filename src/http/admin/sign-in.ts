// The sign-in to the console: Entra ID authenticates the user anew, and the callback makes the admin session. A page
// load without one is answered here.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { adminPermissions } from '../../core/admin-permissions.js'
import { newAdminSessionId, type AdminSessionStore } from '../../core/admin-session.js'
import { GatehouseError } from '../../core/errors.js'
import type { SessionRecord, SessionStore } from '../../core/session.js'
import type { StepUp } from '../../core/step-up.js'
import { sessionMark, type RedirectToEntra } from '../browser/entra-redirect.js'
import { MAX_ROUNDS, type LoginLoopDetector } from '../browser/login-loop.js'
import { isPublicHost } from '../browser/return-to.js'
import { DOUBLED, onlyCookie, type CookiePolicy } from '../cookies.js'
import type { CookieSigner } from '../cookie-signer.js'
import { pathOf } from '../errors.js'
import { sessionIdOf } from '../forward-auth/session-resolver.js'
import type { HttpExchange } from '../http-exchange.js'
import { isHtmx, isNavigation, isSpeculative } from '../navigation.js'
import { sendPage, type PageSettings } from '../pages/layout.js'
import { continuePage } from '../pages/pages.js'
import type { AdminCookie } from './admin-cookie.js'

export interface AdminSignInDeps {
  readonly publicUrl: string
  readonly adminCookie: AdminCookie
  readonly sessions: Pick<SessionStore, 'find'>
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly loginLoop: LoginLoopDetector
  readonly pages: PageSettings
  readonly redirectToEntra: RedirectToEntra
}

/**
 * Answers a request without an admin session.
 * @param returnTo where the sign-in leads
 * @throws GatehouseError `admin_sign_in_required` (no page load), `not_found` (a user without permissions),
 *   `loaded_ahead`, `sign_in_loop`
 */
export async function signInToConsole(
  returnTo: string,
  exchange: HttpExchange,
  deps: AdminSignInDeps,
): Promise<FastifyReply> {
  const { request, reply } = exchange
  requirePageLoad(exchange)
  if (!isPublicHost(request, deps.publicUrl)) return reply.redirect(returnTo, 302)
  const found = await ownSession(request, deps)
  if (found !== undefined && adminPermissions(found.record).size === 0) { // guard: admin-entry-unknown-to-others
    throw new GatehouseError('not_found')
  }
  const isSent = deps.adminCookie.isSent(request.headers.cookie)
  if (!isSent && request.headers['sec-fetch-site'] === 'cross-site') { // guard: admin-cross-site-load
    return sendPage(reply, 200, continuePage('Opening the console', `${deps.publicUrl}${request.url}`), deps.pages)
  }
  if (isSent) deps.adminCookie.clear(reply, pathOf(request)) // it is over, or there are two
  const round = deps.loginLoop.nextRound(returnTo, request)
  if (round.count > MAX_ROUNDS) { // guard: admin-sign-in-loop
    deps.loginLoop.clear(exchange)
    throw new GatehouseError('sign_in_loop', {
      detail: 'the cookie of the console does not come back',
      remedy: 'Check that the proxy forwards Cookie and Set-Cookie, and that the browser does not block cookies.',
    })
  }
  const { record, id } = found ?? {}
  const stepUp: StepUp = {
    purpose: 'admin',
    session: record?.publicId,
    userId: record?.userId,
    adminSession: undefined,
  }
  const session = id === undefined ? undefined : sessionMark(id)
  return deps.redirectToEntra({ returnTo, round, stepUp, session }, exchange, hintOf(record))
}

/** Entra ID's sign-in page then knows whom to ask. */
export function hintOf(person: { readonly loginHint: string | null } | undefined): Record<string, string> {
  return person?.loginHint ? { login_hint: person.loginHint } : {}
}

/** A program cannot follow a redirect to a sign-in page; a page of htmx opens the address anew. */
function requirePageLoad({ request, reply }: HttpExchange): void {
  const { method, headers, url } = request
  if (isSpeculative(headers)) throw new GatehouseError('loaded_ahead')
  if (method === 'GET' && isNavigation(headers)) return // guard: admin-page-loads-alone
  if (method === 'GET' && isHtmx(headers)) reply.header('hx-redirect', url)
  throw new GatehouseError('admin_sign_in_required')
}

async function ownSession(
  { headers }: FastifyRequest,
  { sessions, signer, cookies }: AdminSignInDeps,
): Promise<{ readonly id: string, readonly record: SessionRecord } | undefined> {
  const sent = onlyCookie(headers.cookie, cookies.names.session)
  const id = sent === undefined || sent === DOUBLED ? undefined : sessionIdOf(decodeURIComponentSafely(sent), signer)
  const record = id === undefined ? undefined : await sessions.find(id)
  return id === undefined || record === undefined ? undefined : { id, record }
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}

export interface SteppedUpDeps {
  readonly adminSessions: Pick<AdminSessionStore, 'begin'>
  readonly adminCookie: Pick<AdminCookie, 'set'>
  readonly isOutside: (request: FastifyRequest) => boolean
}

/** Called by the callback of a fresh sign-in: makes the admin session, or renews it; none for a user without rights. */
export function createSteppedUp({ adminSessions, adminCookie, isOutside }: SteppedUpDeps) {
  return async (stepUp: StepUp, sessionId: string | null, { request, reply }: HttpExchange): Promise<void> => {
    if (sessionId === null || isOutside(request)) return
    const id = newAdminSessionId()
    const replaces = stepUp.adminSession === undefined ? undefined : Buffer.from(stepUp.adminSession, 'base64url')
    const { acrs } = stepUp // guard: admin-acrs-sealed
    if (await adminSessions.begin({ id, sessionId, replaces, acrs })) adminCookie.set(reply, id)
  }
}
