// Traefik, Caddy and HAProxy hand our answer to the client as it is: a person is sent to sign in, a program gets 401,
// and a refusal is a page or JSON.
import { sendError } from '../errors.js'
import { isNavigation } from '../navigation.js'
import { GatehouseError } from '../../core/errors.js'
import type { Dialect } from './dialect.js'

const SAFE = new Set(['GET', 'HEAD', '']) // '': not said

export const forwardAuth: Dialect = {
  path: '/oauth2/forward-auth',
  query: 'ignored', // Caddy's rewrite keeps the query of the request
  notSignedIn({ request, reply, target, signInUrl, code, pages }) {
    // 303 makes the browser come back with GET, whatever it sent.
    if (isNavigation(request.headers)) return reply.code(SAFE.has(target?.method ?? 'GET') ? 302 : 303).header('location', signInUrl).send()
    return sendError(new GatehouseError(code), request, reply, pages, { retryUrl: signInUrl })
  },
  refused: ({ request, reply, error, pages, denied, signInUrl }) =>
    sendError(error, request, reply, pages, { denied, retryUrl: denied === undefined ? undefined : `${signInUrl}&prompt=select_account` }),
}
