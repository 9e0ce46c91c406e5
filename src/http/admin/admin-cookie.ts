// The cookie of the admin console: host-only, and sent with requests that begin on this site alone.
import type { FastifyReply } from 'fastify'
import { isAdminSessionId } from '../../core/admin-session.js'
import { cookieScopes, DOUBLED, onlyCookie, type CookiePolicy } from '../cookies.js'
import type { CookieSigner } from '../cookie-signer.js'

const MAX_COOKIE_LENGTH = 256

export interface AdminCookieDeps {
  readonly publicUrl: string
  readonly cookies: Pick<CookiePolicy, 'names' | 'secure'>
  readonly signer: CookieSigner
}

export interface AdminCookie {
  /** The id in the cookie; undefined where there is no cookie, there are two, or it was not signed here. */
  read(header: string | undefined): string | undefined
  isSent(header: string | undefined): boolean
  /** Ends with the browser. The reply needs @fastify/cookie, as for `clear`. */
  set(reply: FastifyReply, id: string): void
  clear(reply: FastifyReply, pathname: string): void
}

export function createAdminCookie({ publicUrl, cookies: { names, secure }, signer }: AdminCookieDeps): AdminCookie {
  const name = names.admin
  return {
    read(header) {
      const sent = onlyCookie(header, name)
      if (sent === undefined || sent === DOUBLED || sent.length > MAX_COOKIE_LENGTH) return undefined
      const { value } = signer.unsign(decoded(sent)) // guard: admin-cookie-signed
      return value !== null && isAdminSessionId(value) ? value : undefined
    },
    isSent: (header) => onlyCookie(header, name) !== undefined,
    set(reply, id) {
      reply.setCookie(name, signer.sign(id), { path: '/', httpOnly: true, sameSite: 'strict', secure })
    },
    clear(reply, pathname) {
      const attributes = { httpOnly: true, sameSite: 'strict', secure } as const
      for (const place of cookieScopes(name, publicUrl, pathname)) reply.clearCookie(name, { ...attributes, ...place })
    },
  }
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return ''
  }
}
