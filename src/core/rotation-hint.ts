// A cookie or a state with an unknown signature is usually an attack. While replicas run different configurations it
// may come from a secret that was rotated in the wrong order: that is logged, at most once an hour.
import type { Announcements } from './siblings.js'

export interface RotationHintOptions {
  /** Whether another replica announces a different configuration. */
  readonly differing: () => boolean
  readonly log: { warn(facts: object, text: string): void }
  readonly announcements?: Announcements | undefined
  readonly everyMs?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

const HOUR_MS = 3_600_000
/** How often replicas are compared: an attacker can send such cookies at any rate. */
const COMPARE_INTERVAL_MS = 1_000
const REMEDY =
  'If session.secrets are being rotated: give every replica [old, new] first, then [new, old], then [new] ' +
  '(docs/deployment.md).'
const MESSAGE = 'a cookie or a sign-in has an unknown signature while replicas run different configurations'

/** @returns a function to call for every unknown signature */
export function createRotationHint(options: RotationHintOptions): () => void {
  const { differing, log, announcements, everyMs = HOUR_MS, now = () => performance.now() } = options
  let quietUntil = -Infinity
  announcements?.onAnnounced(() => {
    quietUntil = now() + everyMs
  })
  return () => {
    const at = now()
    if (at < quietUntil) return
    const differ = differing()
    quietUntil = at + (differ ? everyMs : COMPARE_INTERVAL_MS) // guard: adv-rotation-hint
    if (!differ) return
    announcements?.announce('')
    log.warn({ remedy: REMEDY }, MESSAGE)
  }
}
