// A cookie or a state whose signature no secret of ours made is usually somebody's try. While replicas run different
// configurations it may be a secret that was changed in the wrong order: that is worth one line an hour.

export interface RotationHintOptions {
  /** Whether a replica is heard that runs another configuration. */
  readonly differing: () => boolean
  readonly log: { warn(facts: object, text: string): void }
  readonly everyMs?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

const HOUR_MS = 3_600_000
/** Anybody can send such cookies as often as they like: so often it is looked whether replicas differ. */
const LOOK_MS = 1_000
const REMEDY =
  'If session.secrets are being rotated: give every replica [old, new] first, then [new, old], then [new] ' +
  '(docs/deployment.md).'
const SAYS = 'a cookie or a sign-in has an unknown signature while replicas run different configurations'

/** @returns to be called for every signature that is not ours */
export function createRotationHint(options: RotationHintOptions): () => void {
  const { differing, log, everyMs = HOUR_MS, now = () => performance.now() } = options
  let quietUntil = -Infinity
  return () => {
    const at = now()
    if (at < quietUntil) return
    const differ = differing()
    quietUntil = at + (differ ? everyMs : LOOK_MS) // guard: adv-rotation-hint
    if (differ) log.warn({ remedy: REMEDY }, SAYS)
  }
}
