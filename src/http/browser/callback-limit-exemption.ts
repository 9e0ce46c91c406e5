// Exempts callbacks with a valid, unexpired state from the rate limit by client address: many users share an address,
// and the code of a callback is valid only once. Each callback may call Entra ID and the database, and may start
// another sign-in by itself. So all sign-ins that result from one rate-limited request share a limit. Callbacks with an
// expired state are rate-limited like any other request, because an attacker can collect any number of them.
import type { FastifyRequest } from 'fastify'
import type { FlowSealer } from '../../core/login-flow.js'
import type { Siblings } from '../../core/siblings.js'
import type { NamedLimit } from '../limits.js'

/** One callback in another browser, one in this one, one after a failure; the rest is for reloads. */
const MAX_CALLBACKS_PER_CHAIN = 10
/** Chains that are counted (about 2 MB); above it the oldest one is dropped. */
const CAPACITY = 10_000

export interface CallbackLimitExemptionOptions {
  readonly flows: Pick<FlowSealer, 'chainOf'>
  readonly capacity?: number
  readonly siblings?: Pick<Siblings, 'increment'> | undefined
}

export function callbackLimitExemption(
  { flows, capacity = CAPACITY, siblings }: CallbackLimitExemptionOptions,
): NamedLimit {
  // guard: workers-callbacks
  const counted = siblings === undefined ? createChainCounter(capacity) : chainsOf(siblings)
  return {
    counter: 'signIn',
    allowList(request: FastifyRequest) {
      if (request.url.split('?', 1)[0] !== '/oauth2/callback') return false
      const { state } = request.query as { readonly state?: unknown }
      const chain = typeof state === 'string' ? flows.chainOf(state) : undefined
      if (chain === undefined) return false // guard: adv-genuine-callbacks
      const count = counted(chain)
      return typeof count === 'number' ? isWithinChain(count) : count.then(isWithinChain)
    },
  }
}

function isWithinChain(count: number): boolean {
  return count <= MAX_CALLBACKS_PER_CHAIN // guard: adv-genuine-bounded
}

function createChainCounter(capacity: number): (chain: string) => number {
  const callbacks = new Map<string, number>() // in the order of the first callback
  return (chain) => {
    const count = (callbacks.get(chain) ?? 0) + 1
    for (const first of callbacks.keys()) {
      if (count > 1 || callbacks.size < capacity) break // guard: adv-chain-bounded
      callbacks.delete(first)
    }
    callbacks.set(chain, count)
    return count
  }
}

/** From the first callback of a chain. A state is valid for ten minutes, and each callback may begin another one. */
const CHAIN_MS = 60 * 60_000

function chainsOf({ increment }: Pick<Siblings, 'increment'>): (chain: string) => Promise<number> {
  return async (chain) => (await increment('callbacks', chain, CHAIN_MS)).current
}
