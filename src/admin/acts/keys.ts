// Rotation of the keys that sign assertions. An administrator who may rotate them may also withdraw the old ones: no
// user gains a right by it, and sessions go on. Applications refuse what a withdrawn key has signed, and get a new
// assertion with the next request.
import type { Acting, ActTransaction } from '../../core/acts.js'
import { perform } from './perform.js'

export interface Rotation {
  readonly kid: string
  readonly now: boolean
  /** False: a key that waits to sign is there already. */
  readonly changed: boolean
}

export interface KeyActs {
  /** @param now the new key signs immediately, and all others are withdrawn: for a key that leaked */
  rotate(options: { readonly now: boolean }, acting: Acting): Promise<Rotation>
}

const RULES = { permission: 'gatehouse.keys', inTurn: false } as const

export function createKeyActs(transaction: ActTransaction): KeyActs {
  return {
    rotate: ({ now }, acting) =>
      perform(transaction, acting, RULES, async ({ unit, record }) => {
        const { kid, changed, withdrawn } = await unit.keys.rotate(now)
        if (changed) await record({ action: 'key.rotate', detail: { kid, now, ...now ? { withdrawn } : {} } })
        return { kid, now, changed }
      }),
  }
}
