// Callbacks whose state we sealed in the last ten minutes are not limited by client address: many people share one,
// and who has come back from Entra ID has a code that is good once. Each may ask Entra ID and the database, and the
// answer to one may begin a further sign-in by itself. So the sign-ins that come of one counted request share a limit,
// and an expired state, of which a stranger can collect any number, is limited like any other request.
import type { RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import type { FlowSealer } from '../../core/flow.js'

/** A callback of another browser, its own, one more after a failure; the rest is for reloads. */
const OF_ONE_CHAIN = 10
/** The chain that came first is dropped (about 2 MB). */
const REMEMBERED = 10_000

export interface CallbackLimitExemptionOptions {
  readonly flows: Pick<FlowSealer, 'chainOf'>
  readonly remembered?: number
}

export function callbackLimitExemption(
  { flows, remembered = REMEMBERED }: CallbackLimitExemptionOptions,
): RateLimitOptions {
  const seen = new Map<string, number>() // in the order in which they came first
  const mayAsk = (chain: string): boolean => {
    const times = (seen.get(chain) ?? 0) + 1
    for (const first of seen.keys()) {
      if (times > 1 || seen.size < remembered) break
      seen.delete(first)
    }
    seen.set(chain, times)
    return times <= OF_ONE_CHAIN
  }
  return {
    allowList(request: FastifyRequest) {
      if (request.url.split('?', 1)[0] !== '/oauth2/callback') return false
      const { state } = request.query as { readonly state?: unknown }
      const chain = typeof state === 'string' ? flows.chainOf(state) : undefined
      return chain !== undefined && mayAsk(chain)
    },
  }
}
