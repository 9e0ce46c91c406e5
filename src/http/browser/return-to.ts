// The return address of a request: `rd`, or the header that a trusted proxy sends in its place.
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
 * oauth2-proxy's nginx sample sends `rd` in a header, on every request below /oauth2/. It then names the current page;
 * as a return address that page would start another sign-in.
 */
function trustedRedirectHeader(request: FastifyRequest, { trusts }: RequestedReturnToOptions): string | undefined {
  const header = request.headers['x-auth-request-redirect']
  if (typeof header !== 'string' || !trusts(request.socket.remoteAddress)) return undefined
  return /^(https?:\/\/[^/]*)?\/oauth2\//i.test(header) ? undefined : header
}

/** The origin that a relative `rd` is resolved against: the requested host, as reported by a trusted proxy. */
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

/** The address that starts a sign-in. @param returnTo a validated address @param more further parameters */
export function startUrl(publicUrl: string, returnTo?: string, more: Readonly<Record<string, string>> = {}): string {
  const rd = returnTo === undefined ? [] : [`rd=${asParameter(returnTo) ?? encodeURIComponent(returnTo)}`]
  const others = new URLSearchParams(more).toString()
  const query = [...rd, ...(others === '' ? [] : [others])].join('&')
  return `${publicUrl}/oauth2/start${query === '' ? '' : `?${query}`}`
}
