// `/` and the sign-in page: who you are, which groups and why, and one button.
import type { FastifyInstance } from 'fastify'
import { parseReturnTo, type ReturnToRules } from '../core/return-to.js'
import { cookieValues, type CookiePolicy } from './cookies.js'
import type { TrustedPeers } from './networks.js'
import { sendPage, STYLESHEET_PATH, type PageSettings } from './pages/layout.js'
import { homePage, signedOutPage, signInPage, type RightsOfPerson } from './pages/pages.js'
import { STYLESHEET } from './pages/stylesheet.js'
import { queryParameters } from './query.js'
import type { CookieSigner } from './cookie-signer.js'
import { openReturn } from './sign-out.js'
import { startUrl, wantedReturn } from './wanted-return.js'

export interface HomeOptions {
  readonly publicUrl: string
  readonly pages: PageSettings
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly trusts: TrustedPeers
  readonly rightsOf: (userId: string) => Promise<RightsOfPerson>
}

export async function homeRoutes(scope: FastifyInstance, options: HomeOptions): Promise<void> {
  const { publicUrl, pages, returnTo, cookies, signer, rightsOf } = options

  scope.get('/', async (request, reply) => {
    const session = request.session.record
    if (!session) return reply.header('cache-control', 'no-store').redirect('/oauth2/sign_in', 302)
    return sendPage(reply, 200, homePage(session, await rightsOf(session.userId), publicUrl), pages)
  })

  scope.get('/oauth2/sign_in', async (request, reply) => {
    // Entra's sign-out page adds parameters of its own when it sends people back here.
    const { rd } = queryParameters(request.query, ['rd'])
    const target = wantedReturn(rd, request, options)
    const start = startUrl(publicUrl, target)
    const [signedOut] = cookieValues(request.headers.cookie, cookies.names.signedOut)
    if (signedOut === undefined) return sendPage(reply, 200, signInPage(start), pages)
    reply.clearCookie(cookies.names.signedOut)
    const back = openReturn(signedOut, signer)
    if (back) return reply.redirect(parseReturnTo(back, returnTo), 302)
    return sendPage(reply, 200, signedOutPage(start), pages)
  })
}

export async function assetRoutes(scope: FastifyInstance): Promise<void> {
  scope.get(STYLESHEET_PATH, async (_request, reply) => reply.headers({
    'content-type': 'text/css; charset=utf-8', 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff',
  }).send(STYLESHEET))
}
