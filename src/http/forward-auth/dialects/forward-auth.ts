// Traefik, Caddy and HAProxy pass our response to the client unchanged: a page load is redirected to the sign-in, a
// program gets 401, and a refusal is a page or JSON.
import { GatehouseError } from '../../../core/errors.js'
import { targetUrl } from '../../../core/target.js'
import { sendError } from '../../errors.js'
import { isFramed, isHtmx, isNavigation } from '../../navigation.js'
import type { Dialect, Refusal } from '../route.js'

const SAFE = new Set(['GET', 'HEAD', '']) // '': the proxy sends no method

export const forwardAuth: Dialect = {
  path: '/oauth2/forward-auth',
  query: 'ignored', // Caddy's rewrite keeps the client's query
  notSignedIn({ request: { headers }, request, reply, target, signInUrl, code, pages }) {
    // 303 makes the browser return with GET, whatever method it used.
    if (isNavigation(headers)) {
      return reply.code(SAFE.has(target?.method ?? 'GET') ? 302 : 303).header('location', signInUrl).send()
    }
    // htmx does not display a 401. HX-Refresh makes it reload the page, which is redirected to the sign-in. Not for a
    // 403: a page that requests the refused part on every load would reload endlessly.
    if (isHtmx(headers)) reply.header('hx-refresh', 'true') // guard: adv-htmx, adv-browser-htmx
    return sendError(new GatehouseError(code), request, reply, pages, {
      retryUrl: signInUrl,
      framed: isFramed(headers),
    })
  },
  refused({ request, reply, error, pages, denied, ...refusal }) {
    const retryUrl = denied === undefined ? retryUrlFor(refusal, error) : `${refusal.signInUrl}&prompt=select_account`
    return sendError(error, request, reply, pages, { denied, retryUrl, framed: isFramed(request.headers) })
  },
}

/** If Gatehouse fails, "Try again" leads to the requested page; otherwise to the sign-in. */
function retryUrlFor({ target, signInUrl }: Pick<Refusal, 'target' | 'signInUrl'>, { status }: GatehouseError): string {
  return target !== undefined && status >= 500 ? targetUrl(target) : signInUrl
}
