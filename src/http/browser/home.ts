// `/` (the signed-in user, the groups with their reasons, the sign-out) and the sign-in page.
import type { FastifyInstance } from 'fastify'
import { applicationName, type ApplicationLink } from '../../core/applications.js'
import { parseReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { UserRights } from '../../core/rights.js'
import type { SessionRecord } from '../../core/session.js'
import { cookieValues, type CookiePolicy } from '../cookies.js'
import type { TrustedPeers } from '../../net/networks.js'
import { sendPage, type PageSettings } from '../pages/layout.js'
import { homePage } from '../pages/home-page.js'
import { signedOutPage, signInPage } from '../pages/pages.js'
import { queryParameters } from '../query.js'
import type { CookieSigner } from '../cookie-signer.js'
import { readSignOutCookie } from './sign-out.js'
import { startUrl, requestedReturnTo } from './return-to.js'

export interface HomeOptions {
  readonly publicUrl: string
  readonly pages: PageSettings
  readonly returnTo: ReturnToRules
  readonly cookies: CookiePolicy
  readonly signer: CookieSigner
  readonly trusts: TrustedPeers
  readonly rightsOf: (userId: string) => Promise<UserRights>
  /** The applications whose front page the user of the session may open from this client address. */
  readonly applicationsOf: (session: SessionRecord, address: string) => readonly ApplicationLink[]
}

export async function homeRoutes(scope: FastifyInstance, options: HomeOptions): Promise<void> {
  const { publicUrl, pages, returnTo, cookies, signer, rightsOf, applicationsOf } = options

  scope.get('/', async (request, reply) => {
    const session = request.session.record
    if (!session) return reply.header('cache-control', 'no-store').redirect('/oauth2/sign_in', 302)
    const rights = await rightsOf(session.userId)
    const { applications, iconOf } = pages.theme()
    const open = applicationsOf(session, request.ip).map((each) => ({ ...each, icon: iconOf(each) }))
    const facts = { session, rights, publicUrl, contact: pages.contact, open, listed: applications.length > 0 }
    return sendPage(reply, 200, homePage(facts), pages)
  })

  scope.get('/oauth2/sign_in', async (request, reply) => {
    // Entra ID's sign-out page adds parameters of its own to this address; they are ignored.
    const { rd } = queryParameters(request.query, ['rd'])
    const returnAddress = requestedReturnTo(rd, request, options)
    const start = startUrl(publicUrl, returnAddress)
    const [signedOut] = cookieValues(request.headers.cookie, cookies.names.signedOut)
    if (signedOut === undefined) {
      return sendPage(reply, 200, signInPage(start, destinationName(returnAddress, options)), pages)
    }
    reply.clearCookie(cookies.names.signedOut)
    const signOut = readSignOutCookie(signedOut, signer)
    if (signOut?.returnTo) return reply.redirect(parseReturnTo(signOut.returnTo, returnTo), 302)
    return sendPage(reply, 200, signedOutPage(start, signOut?.ended === true), pages)
  })
}

/** Name of the application that the user continues to after the sign-in; undefined: Gatehouse's home page. */
function destinationName(returnAddress: string, { publicUrl, pages }: HomeOptions): string | undefined {
  const isOwnPage = new URL(returnAddress).origin === publicUrl
  // guard: adv-page-destination
  return isOwnPage ? undefined : applicationName(returnAddress, pages.theme().applications)
}
