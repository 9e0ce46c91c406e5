// The address of "Try again" on an error page: repeats the request and keeps its return address.
import type { FastifyRequest } from 'fastify'
import type { GatehouseError } from '../core/errors.js'
import { readReturnTo, type ReturnToRules } from '../core/return-to.js'
import { startUrl } from './browser/return-to.js'

const SIGN_OUT = '/oauth2/sign_out'

/** Target of the button of an error page. */
export function retryUrlOf(error: GatehouseError, request: FastifyRequest, rules: ReturnToRules): string {
  const { publicUrl } = rules
  if (error.status === 404) return `${publicUrl}/`
  // A rate-limited request can be repeated later: a callback keeps its code and its state.
  // guard: adv-retry-limited
  if (error.status === 429 && /^\/(?![/\\])/.test(request.url)) return `${publicUrl}${request.url}`
  const returnTo = requestedReturn(request, rules)
  if (request.url.split('?', 1)[0] !== SIGN_OUT) return startUrl(publicUrl, returnTo) // guard: adv-sign-out-retry
  return `${publicUrl}${SIGN_OUT}${returnTo === undefined ? '' : `?${new URLSearchParams({ rd: returnTo })}`}`
}

/** `rd` of the request, if it is present and allowed. */
function requestedReturn({ query }: FastifyRequest, rules: ReturnToRules): string | undefined {
  const rd = (query as { readonly rd?: unknown } | undefined)?.rd
  if (typeof rd !== 'string' || rd === '') return undefined
  return readReturnTo(rd, rules).address // a refused rd may be the cause of the error
}
