// The identity cookie: the assertion as a cookie of the whole domain, for applications without forward-auth. It is
// verified offline and so cannot be revoked: it is valid for ten minutes, and /oauth2/refresh renews it while the
// session is active.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { IDENTITY_COOKIE_LIFETIME } from '../../core/assertion.js'
import { GatehouseError } from '../../core/errors.js'
import { parseReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { SessionRecord } from '../../core/session.js'
import type { AssertionSigner } from '../assertion-signer.js'
import type { CookiePolicy } from '../cookies.js'
import { queryParameters } from '../query.js'
import { startUrl } from './return-to.js'

/** Browsers drop a cookie whose name, value and attributes are longer than 4096 bytes (RFC 6265bis section 5.6). */
const MAX_CHARACTERS = 3_800

/** @throws `identity_too_large` */
export type SetIdentityCookie = (session: SessionRecord, reply: FastifyReply) => Promise<void>

export interface IdentityCookieDeps {
  readonly signer: AssertionSigner
  readonly cookies: CookiePolicy
  /** Domain of the cookie and audience of its assertion. */
  readonly domain: string
}

export function createIdentityCookie({ signer, cookies, domain }: IdentityCookieDeps): SetIdentityCookie {
  return async (session, reply) => {
    const token = signer.sign(session, domain, IDENTITY_COOKIE_LIFETIME)
    if (token.length > MAX_CHARACTERS) {
      throw new GatehouseError('identity_too_large', {
        detail: `the identity cookie would have ${token.length} characters, browsers keep ${MAX_CHARACTERS}`,
        facts: { username: session.username, groups: session.groups.length },
        remedy: 'Map fewer groups, or let applications use X-Gatehouse-Assertion or /oauth2/userinfo.',
      })
    }
    reply.setCookie(cookies.names.identity, token, {
      domain,
      maxAge: IDENTITY_COOKIE_LIFETIME,
      encode: (value) => value,
    })
  }
}

export interface RefreshOptions {
  readonly publicUrl: string
  readonly returnTo: ReturnToRules
  readonly setIdentityCookie: SetIdentityCookie
}

/** `GET /oauth2/refresh?rd=`: sets a new identity cookie and redirects to `rd`; without a session via the sign-in. */
export async function refreshRoutes(
  scope: FastifyInstance,
  { publicUrl, returnTo, setIdentityCookie }: RefreshOptions,
): Promise<void> {
  scope.get('/oauth2/refresh', async (request, reply) => {
    const target = parseReturnTo(queryParameters(request.query, ['rd']).rd, returnTo)
    const session = request.session.record
    if (!session) return reply.redirect(startUrl(publicUrl, target), 302)
    await setIdentityCookie(session, reply)
    return reply.redirect(target, 302)
  })
}
