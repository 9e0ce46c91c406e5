// Traefik, Caddy and HAProxy hand our answer to the client as it is: a person is sent to sign in, a program gets 401,
// and a refusal is a page or JSON.
import { GatehouseError } from '../../../core/errors.js'
import { targetUrl } from '../../../core/target.js'
import { sendError } from '../../errors.js'
import { isFramed, isHtmx, isNavigation } from '../../navigation.js'
import type { Dialect, Refusal } from '../route.js'

const SAFE = new Set(['GET', 'HEAD', '']) // '': not said

export const forwardAuth: Dialect = {
  path: '/oauth2/forward-auth',
  query: 'ignored', // Caddy's rewrite keeps the query of the request
  notSignedIn({ request: { headers }, request, reply, target, signInUrl, code, pages }) {
    // 303 makes the browser come back with GET, whatever it sent.
    if (isNavigation(headers)) {
      return reply.code(SAFE.has(target?.method ?? 'GET') ? 302 : 303).header('location', signInUrl).send()
    }
    // htmx shows nothing of a 401: it loads the page anew, and that is sent to sign in. Not at a 403: a page that asks
    // for such a part whenever it is loaded would be loaded without end.
    if (isHtmx(headers)) reply.header('hx-refresh', 'true') // guard: adv-htmx, adv-browser-htmx
    return sendError(new GatehouseError(code), request, reply, pages, {
      retryUrl: signInUrl,
      framed: isFramed(headers),
    })
  },
  refused({ request, reply, error, pages, denied, ...refusal }) {
    const retryUrl = denied === undefined ? sameAgain(refusal, error) : `${refusal.signInUrl}&prompt=select_account`
    return sendError(error, request, reply, pages, { denied, retryUrl, framed: isFramed(request.headers) })
  },
}

/** Where Gatehouse itself is what fails, "Try again" is what was asked for. */
function sameAgain({ target, signInUrl }: Pick<Refusal, 'target' | 'signInUrl'>, { status }: GatehouseError): string {
  return target !== undefined && status >= 500 ? targetUrl(target) : signInUrl
}
