// Sign-out: our session first, then Entra's, then back. A sign-out that somebody else's page begins is asked about.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseReturnTo, type ReturnToRules } from '../core/return-to.js'
import type { SessionRecord } from '../core/session.js'
import type { CookiePolicy } from './cookies.js'
import { isOwnNavigation } from './navigation.js'
import { sendPage, type PageSettings } from './pages/layout.js'
import { confirmSignOutPage } from './pages/pages.js'
import { queryParameters } from './query.js'
import type { CookieSigner } from './session-reader.js'

export interface SignOutOptions {
  readonly publicUrl: string
  readonly endSession: string
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly pages: PageSettings
  readonly rateLimit: number
  /** For the record. */
  readonly signedOut: (session: SessionRecord, correlationId: string) => Promise<void>
}

const RETURN_SECONDS = 300

export async function signOutRoutes(scope: FastifyInstance, options: SignOutOptions): Promise<void> {
  const limited = { config: { rateLimit: { max: options.rateLimit, timeWindow: 60_000 } } }
  scope.get('/oauth2/sign_out', limited, async (request, reply) => {
    const rd = validReturn(queryParameters(request.query, ['rd']).rd, options.returnTo)
    if (!isOwnNavigation(request.headers)) return sendPage(reply, 200, confirmSignOutPage(options.publicUrl, rd), options.pages)
    return signOut(rd, options, request, reply)
  })
  scope.post('/oauth2/sign_out', limited, async (request, reply) => {
    const body = queryParameters(request.body ?? {}, ['rd'])
    const rd = validReturn(body.rd ?? queryParameters(request.query, ['rd']).rd, options.returnTo)
    if (isForeign(request, options.publicUrl)) return sendPage(reply, 200, confirmSignOutPage(options.publicUrl, rd), options.pages)
    return signOut(rd, options, request, reply)
  })
}

async function signOut(rd: string | undefined, options: SignOutOptions, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { cookies, publicUrl, endSession, signer } = options
  const session = request.session.record
  if (session) {
    await request.session.destroy()
    await options.signedOut(session, request.id)
  }
  const attributes = { path: '/', httpOnly: true, sameSite: 'lax', secure: cookies.secure } as const
  reply.clearCookie(cookies.names.session, { ...attributes, ...(cookies.domain === undefined ? {} : { domain: cookies.domain }) })
  reply.setCookie(cookies.names.signedOut, signer.sign(rd ?? ''), { ...attributes, maxAge: RETURN_SECONDS })
  const target = new URLSearchParams({ post_logout_redirect_uri: `${publicUrl}/oauth2/sign_in`, ...(session?.loginHint ? { logout_hint: session.loginHint } : {}) })
  return reply.header('cache-control', 'no-store').redirect(`${endSession}?${target}`, 303)
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
