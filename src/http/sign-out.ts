// Sign-out: our session first, then Entra's, then back. A sign-out that somebody else's page begins is asked about.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseReturnTo, type ReturnToRules } from '../core/return-to.js'
import { sessionIdHash, type SessionStore } from '../core/session.js'
import type { SessionCache } from '../core/session-cache.js'
import { cookieValues, type CookiePolicy } from './cookies.js'
import { isOwnNavigation } from './navigation.js'
import { sendPage, type PageSettings } from './pages/layout.js'
import { confirmSignOutPage } from './pages/pages.js'
import { queryParameters } from './query.js'
import type { CookieSigner } from './cookie-signer.js'
import { sessionIdOf } from './session-reader.js'

export interface SignOutOptions {
  readonly publicUrl: string
  readonly endSession: string
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly pages: PageSettings
  readonly sessions: SessionStore
}

const RETURN_SECONDS = 300
const RETURN_PREFIX = 'signed out: '
const MAX_COOKIE = 3_500 // browsers drop a cookie above 4096 bytes

export async function signOutRoutes(scope: FastifyInstance, options: SignOutOptions): Promise<void> {
  scope.get('/oauth2/sign_out', async (request, reply) => {
    const rd = validReturn(queryParameters(request.query, ['rd']).rd, options.returnTo)
    if (!isOwnNavigation(request.headers)) return sendPage(reply, 200, confirmSignOutPage(options.publicUrl, rd), options.pages)
    return signOut(rd, options, request, reply)
  })
  scope.post('/oauth2/sign_out', async (request, reply) => {
    const body = queryParameters(request.body ?? {}, ['rd'])
    const rd = validReturn(body.rd ?? queryParameters(request.query, ['rd']).rd, options.returnTo)
    if (isForeign(request, options.publicUrl)) return sendPage(reply, 200, confirmSignOutPage(options.publicUrl, rd), options.pages)
    return signOut(rd, options, request, reply)
  })
}

/** Whoever signs out is not remembered here any more, whether or not the database can be told. */
export function forgetSessions(request: FastifyRequest, { names }: CookiePolicy, signer: CookieSigner, cache: Pick<SessionCache, 'apply'>): void {
  const ids = cookieValues(request.headers.cookie, names.session).flatMap((value) => sessionIdOf(value, signer) ?? [])
  if (ids.length > 0) cache.apply({ kind: 'sessions', hashes: ids.map((id) => sessionIdHash(id).toString('hex')) })
}

async function signOut(rd: string | undefined, options: SignOutOptions, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { cookies, publicUrl, endSession, signer, sessions } = options
  const session = request.session.record
  for (const value of cookieValues(request.headers.cookie, cookies.names.session)) { // every one of them, should there be two
    const id = sessionIdOf(value, signer)
    if (id !== undefined) await sessions.end(id, request.id)
  }
  await request.session.destroy()
  for (const name of [cookies.names.session, cookies.names.identity]) reply.clearCookie(name, cookies.domain === undefined ? {} : { domain: cookies.domain })
  reply.setCookie(cookies.names.signedOut, sealReturn(rd, signer), { maxAge: RETURN_SECONDS })
  const target = new URLSearchParams({ post_logout_redirect_uri: `${publicUrl}/oauth2/sign_in`, ...(session?.loginHint ? { logout_hint: session.loginHint } : {}) })
  return reply.header('cache-control', 'no-store').redirect(`${endSession}?${target}`, 303)
}

/** A cookie of its own kind: what is signed here is no session id, and the other way round. */
function sealReturn(rd: string | undefined, signer: CookieSigner): string {
  const sealed = signer.sign(`${RETURN_PREFIX}${rd ?? ''}`)
  return encodeURIComponent(sealed).length > MAX_COOKIE ? signer.sign(RETURN_PREFIX) : sealed
}

/** The way back that a sign-out left: undefined where there is none, empty where there was no `rd`. */
export function openReturn(value: string, signer: CookieSigner): string | undefined {
  const { valid, value: carried } = signer.unsign(value)
  return valid && carried?.startsWith(RETURN_PREFIX) ? carried.slice(RETURN_PREFIX.length) : undefined
}

function validReturn(rd: string | undefined, rules: ReturnToRules): string | undefined {
  return rd === undefined || rd === '' ? undefined : parseReturnTo(rd, rules)
}

/** A form that another site posts here: the browser says so in Sec-Fetch-Site, older ones in Origin. */
function isForeign({ headers }: FastifyRequest, publicUrl: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'cross-site'
  return headers.origin !== undefined && headers.origin !== publicUrl
}
