// nginx auth_request: 200, 401 or 403, and 503 if the database is unreachable; nginx answers 500 for any other status.
// Never a redirect: the sign-in address is sent in a header.
import { challenge, RETRY_AFTER_SECONDS } from '../../errors.js'
import type { Dialect } from '../route.js'

const plain401: NonNullable<Dialect['plain401']> = (
  { signInUrl, pages },
) => ['x-auth-request-redirect', signInUrl, 'www-authenticate', challenge(pages)]

/** The statuses that nginx passes on to the client; it turns any other one into 500. */
function statusForNginx(status: number): 401 | 403 | 503 {
  if (status >= 500) return 503 // guard: adv-fail-closed
  return status === 401 ? 401 : 403
}

export const authRequest: Dialect = {
  path: '/oauth2/auth',
  query: 'refused',
  notSignedIn({ reply, ...refusal }) {
    const [name, value, other, its] = plain401(refusal)
    return reply.code(401).header(name, value).header(other, its).send()
  },
  plain401,
  refused({ reply, error, pages }) {
    const status = statusForNginx(error.status)
    if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS) // guard: adv-retry-after-auth
    return reply.code(status).headers({
      'x-gatehouse-error': error.code,
      ...(status === 401 ? { 'www-authenticate': challenge(pages) } : {}),
    }).send()
  },
}
