// Protects the unsafe requests of the console and its API: they must come from a page of this origin, and must return a
// token that is bound to the admin session.
import { createHmac, hkdfSync } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { equalInConstantTime } from '../../core/constant-time.js'
import { GatehouseError } from '../../core/errors.js'
import type { AdminActor } from './actor.js'

export interface FormTokens {
  /** The token of an admin session. It stays the same when a fresh sign-in renews the cookie. */
  of(adminSessionId: string): string
  matches(given: string, adminSessionId: string): boolean
}

/** @param secrets the session secrets: the first one signs, all verify */
export function createFormTokens(secrets: readonly string[]): FormTokens {
  const keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, 'gatehouse', 'admin form token', 32)))
  const tokenOf = (key: Buffer, adminSessionId: string): string =>
    createHmac('sha256', key).update(adminSessionId).digest('base64url')
  return {
    of(adminSessionId) {
      const [key] = keys
      if (key === undefined) throw new Error('at least one session secret is needed')
      return tokenOf(key, adminSessionId)
    },
    matches: (given, adminSessionId) => keys.some((key) => equalInConstantTime(given, tokenOf(key, adminSessionId))),
  }
}

/**
 * Call before acting on an unsafe request of the console or its API.
 * @param given the token as the request has it: field `_csrf` or header `X-CSRF-Token`
 * @throws GatehouseError `form_refused`
 */
export function requireOwnForm(
  request: FastifyRequest,
  actor: Pick<AdminActor, 'adminSessionId'>,
  given: string | undefined,
  { publicUrl, formTokens }: { readonly publicUrl: string, readonly formTokens: FormTokens },
): void {
  requireOwnOrigin(request, publicUrl)
  if (given === undefined || !formTokens.matches(given, actor.adminSessionId)) { // guard: admin-form-token
    throw new GatehouseError('form_refused', { detail: 'the form token is missing, or belongs to another session' })
  }
}

/** Pages of sibling hosts are the same site, but another origin: `same-site` is refused. */
function requireOwnOrigin({ headers }: FastifyRequest, publicUrl: string): void {
  const site = headers['sec-fetch-site']
  const isOwn = site === undefined ? headers.origin === publicUrl : site === 'same-origin' // guard: admin-form-origin
  if (isOwn) return
  throw new GatehouseError('form_refused', {
    detail: `the request came from another origin (Sec-Fetch-Site ${String(site)})`,
    remedy: 'If this repeats, a proxy removes or changes Sec-Fetch-Site or Origin.',
  })
}
