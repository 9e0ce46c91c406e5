// Sign-out: ends the session here first, whatever the parameters are, then redirects to Entra ID's sign-out, which
// returns to the sign-in page. A sign-out that a page of another site begins needs confirmation; a speculative request
// ends nothing.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { readReturnTo, type ReturnToRules } from '../../core/return-to.js'
import { sessionIdHash, type SessionStore } from '../../core/session.js'
import type { SessionCache } from '../../core/session-cache.js'
import { cookieValues, cookieScopes, type CookiePolicy } from '../cookies.js'
import { pathOf } from '../errors.js'
import { isOwnNavigation } from '../navigation.js'
import { sendPage, type PageSettings } from '../pages/layout.js'
import { confirmSignOutPage } from '../pages/pages.js'
import { queryParameters } from '../query.js'
import type { CookieSigner } from '../cookie-signer.js'
import type { LoginLoopDetector } from './login-loop.js'
import { sessionIdOf } from '../forward-auth/session-resolver.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set when the session has ended. With the login hint Entra ID signs out without asking for the account. */
    signedOut?: { readonly loginHint: string | undefined, readonly ended: boolean }
  }
}

export interface SignOutOptions {
  readonly publicUrl: string
  readonly endSession: string
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly pages: PageSettings
  readonly sessions: SessionStore
  readonly loginLoop: LoginLoopDetector
}

const RETURN_SECONDS = 300
/** Prefix of the cookie's value, by whether a session ended or there was none. */
const RETURN_PREFIX = { ended: 'signed out: ', none: 'not signed in: ' } as const
const MAX_COOKIE_LENGTH = 3_500 // browsers drop a cookie above 4096 bytes

export async function signOutRoutes(scope: FastifyInstance, options: SignOutOptions): Promise<void> {
  scope.decorateRequest('signedOut')
  // Before the rest of the request is parsed, so that no parameter and no malformed body prevents the sign-out.
  scope.addHook('onRequest', async (request, reply) => {
    // guard: adv-sign-out-first
    if (needsNoConfirmation(request, options.publicUrl)) await endSession(options, request, reply)
  })
  scope.get('/oauth2/sign_out', async (request, reply) => {
    const { rd } = queryParameters(request.query, ['rd'])
    return respond(rd, options, request, reply)
  })
  scope.post('/oauth2/sign_out', async (request, reply) => {
    const body = queryParameters(request.body ?? {}, ['rd'])
    return respond(body.rd ?? queryParameters(request.query, ['rd']).rd, options, request, reply)
  })
}

/** Evicts the request's sessions from the local cache, also if the database cannot be reached afterwards. */
export function evictSessions(
  request: FastifyRequest,
  { names }: CookiePolicy,
  signer: CookieSigner,
  cache: Pick<SessionCache, 'apply'>,
): void {
  const ids = cookieValues(request.headers.cookie, names.session).flatMap((value) => sessionIdOf(value, signer) ?? [])
  // guard: live-signed-out
  if (ids.length > 0) cache.apply({ kind: 'sessions', hashes: ids.map((id) => sessionIdHash(id).toString('hex')) })
}

async function endSession(
  { cookies, publicUrl, signer, sessions, loginLoop }: SignOutOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const loginHint = request.session.record?.loginHint ?? undefined
  let ended = request.session.record !== undefined
  const values = cookieValues(request.headers.cookie, cookies.names.session)
  for (const value of values) {
    // with two session cookies both sessions are ended
    const id = sessionIdOf(value, signer)
    if (id !== undefined && values.length > 1) ended = ended || await sessions.find(id) !== undefined
    if (id !== undefined) await sessions.end(id, request.id) // guard: adv-sign-out
  }
  await request.session.destroy()
  for (const name of [cookies.names.session, cookies.names.identity]) {
    reply.clearCookie(name, cookies.domain === undefined ? {} : { domain: cookies.domain })
    if (values.length > 1) { // guard: adv-doubled-sign-out
      for (const place of cookieScopes(name, publicUrl, pathOf(request))) reply.clearCookie(name, place)
    }
  }
  loginLoop.clear({ request, reply })
  request.signedOut = { loginHint, ended }
}

function respond(
  rd: string | undefined,
  options: SignOutOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { cookies, publicUrl, endSession, signer, pages } = options
  const returnTo = validReturn(rd, options.returnTo, request)
  if (request.signedOut === undefined) return sendPage(reply, 200, confirmSignOutPage(publicUrl, returnTo), pages)
  const { loginHint, ended } = request.signedOut
  const sealed = signSignOutCookie(ended, returnTo, signer, request)
  reply.setCookie(cookies.names.signedOut, sealed, { maxAge: RETURN_SECONDS })
  const target = new URLSearchParams({
    post_logout_redirect_uri: `${publicUrl}/oauth2/sign_in`,
    ...(loginHint ? { logout_hint: loginHint } : {}),
  })
  return reply.header('cache-control', 'no-store').redirect(`${endSession}?${target}`, 303)
}

/** The prefix separates the signed value from a session id: neither cookie is accepted as the other. */
function signSignOutCookie(
  ended: boolean,
  rd: string | undefined,
  signer: CookieSigner,
  request: FastifyRequest,
): string {
  const prefix = RETURN_PREFIX[ended ? 'ended' : 'none'] // guard: adv-page-no-session
  const sealed = signer.sign(`${prefix}${rd ?? ''}`)
  if (encodeURIComponent(sealed).length <= MAX_COOKIE_LENGTH) return sealed
  request.log.warn({ characters: rd?.length }, 'rd of a sign-out is too long for a cookie and is ignored')
  return signer.sign(prefix)
}

export interface SignOutResult {
  /** True if a session ended; false if there was none. */
  readonly ended: boolean
  /** Empty where there was no `rd`. */
  readonly returnTo: string
}

/** Reads the cookie that a sign-out set. */
export function readSignOutCookie(value: string, signer: CookieSigner): SignOutResult | undefined {
  const { valid, value: payload = '' } = signer.unsign(value)
  if (!valid || payload === null) return undefined
  for (const [kind, prefix] of Object.entries(RETURN_PREFIX)) {
    if (payload.startsWith(prefix)) return { ended: kind === 'ended', returnTo: payload.slice(prefix.length) }
  }
  return undefined
}

/** A refused `rd` is ignored, because the sign-out must not fail. */
function validReturn(rd: string | undefined, rules: ReturnToRules, request: FastifyRequest): string | undefined {
  if (rd === undefined || rd === '') return undefined
  const { address, refusal } = readReturnTo(rd, rules)
  if (refusal !== undefined) {
    const { code, message, remedy, facts } = refusal // guard: adv-sign-out-refused-rd
    request.log.warn(
      { ...facts, code, detail: message, remedy },
      'rd of a sign-out is refused and ignored; the session ends',
    )
  }
  return address
}

/** A navigation from this site or a same-site form needs no confirmation; anything else does. */
function needsNoConfirmation(request: FastifyRequest, publicUrl: string): boolean {
  return request.method === 'POST' ? !isCrossSite(request, publicUrl) : isOwnNavigation(request.headers)
}

/** A form that another site posts here: browsers report it in Sec-Fetch-Site, older ones in Origin. */
function isCrossSite({ headers }: FastifyRequest, publicUrl: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'cross-site'
  return headers.origin !== undefined && headers.origin !== publicUrl
}
