// nginx auth_request: 200, 401 or 403, and 503 where the store cannot be asked; anything else nginx shows as its own
// 500. Never a redirect: the sign-in address goes in a header.
import type { Dialect } from './dialect.js'

export const authRequest: Dialect = {
  path: '/oauth2/auth',
  query: 'refused',
  notSignedIn: ({ reply, signInUrl }) => reply.code(401).header('x-auth-request-redirect', signInUrl).send(),
  refused: ({ reply, error }) => reply.code(error.status >= 500 ? 503 : error.status === 401 ? 401 : 403).header('x-gatehouse-error', error.code).send(),
}
