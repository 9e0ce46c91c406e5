// Callbacks whose state we sealed are not limited by client address: many people share one, and who has come back from
// Entra ID has a code that is good once. One state is still good for few requests: each may ask Entra ID and the
// database.
import type { RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import type { FlowSealer } from '../core/flow.js'
import { MINUTE_MS } from './limits.js'

const OF_ONE_FLOW = 20
const REMEMBERED = 5_000

export interface GenuineCallbacksOptions {
  readonly flows: Pick<FlowSealer, 'idOf'>
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function genuineCallbacks({ flows, now = () => performance.now() }: GenuineCallbacksOptions): RateLimitOptions {
  let seen = new Map<string, number>()
  let until = now() + MINUTE_MS
  const mayAsk = (id: string): boolean => {
    if (now() >= until || seen.size >= REMEMBERED) {
      seen = new Map()
      until = now() + MINUTE_MS
    }
    const times = (seen.get(id) ?? 0) + 1
    seen.set(id, times)
    return times <= OF_ONE_FLOW
  }
  return {
    allowList(request: FastifyRequest) {
      if (request.url.split('?', 1)[0] !== '/oauth2/callback') return false
      const { state } = request.query as { readonly state?: unknown }
      const id = typeof state === 'string' ? flows.idOf(state) : undefined
      return id !== undefined && mayAsk(id)
    },
  }
}
