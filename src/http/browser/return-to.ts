// Where somebody wants to be afterwards: `rd`, or what a trusted proxy says in its place.
import type { FastifyRequest } from 'fastify'
import { asParameter, parseReturnTo, type ReturnToRules } from '../../core/return-to.js'
import type { TrustedPeers } from '../../net/networks.js'

export interface RequestedReturnToOptions {
  readonly publicUrl: string
  readonly returnTo: ReturnToRules
  readonly trusts: TrustedPeers
}

/** @param rd from the query @throws `return_to_refused` */
export function requestedReturnTo(
  rd: string | undefined,
  request: FastifyRequest,
  options: RequestedReturnToOptions,
): string {
  return parseReturnTo(rd ?? trustedRedirectHeader(request, options), options.returnTo, requestOrigin(request, options))
}

/**
 * oauth2-proxy's nginx sample hands `rd` over in a header, on every request below /oauth2/: then it names the very page
 * that is open, and who went back there after signing in would sign in again.
 */
function trustedRedirectHeader(request: FastifyRequest, { trusts }: RequestedReturnToOptions): string | undefined {
  const header = request.headers['x-auth-request-redirect']
  if (typeof header !== 'string' || !trusts(request.socket.remoteAddress)) return undefined
  return /^(https?:\/\/[^/]*)?\/oauth2\//i.test(header) ? undefined : header
}

/** Where a relative `rd` counts from: the host the browser asked for, as a trusted proxy says. */
function requestOrigin(request: FastifyRequest, { publicUrl }: RequestedReturnToOptions): string {
  if (isPublicHost(request, publicUrl)) return publicUrl
  const origin = `${new URL(publicUrl).protocol}//${request.host}`
  return URL.canParse(origin) ? new URL(origin).origin : publicUrl
}

export function isPublicHost(request: FastifyRequest, publicUrl: string): boolean {
  const { protocol, host } = new URL(publicUrl)
  const origin = `${protocol}//${request.host}`
  return URL.canParse(origin) && new URL(origin).host === host
}

/** Where a sign-in begins. @param returnTo a checked address @param more parameters of /oauth2/start beside it */
export function startUrl(publicUrl: string, returnTo?: string, more: Readonly<Record<string, string>> = {}): string {
  const rd = returnTo === undefined ? [] : [`rd=${asParameter(returnTo) ?? encodeURIComponent(returnTo)}`]
  const others = new URLSearchParams(more).toString()
  const query = [...rd, ...(others === '' ? [] : [others])].join('&')
  return `${publicUrl}/oauth2/start${query === '' ? '' : `?${query}`}`
}
