// Which previews of a draft still count: those of its text and of the policy in force as they are now, which are not
// too old.
import { GatehouseError } from '../core/errors.js'
import type { DraftPreviews, KeptPreview, PolicyPreview, PreviewKey, PreviewResult } from '../core/policy-preview.js'

/** Within this time the same preview is not made again. */
const KEPT_MS = 5 * 60_000
/** Of a live one that has failed: a client that asks again and again gets the failure, and begins no other one. */
const FAILURE_KEPT_MS = 60_000
/** An older one says too little about the users of now. */
const SHOWN_MS = 60 * 60_000
/** A process that writes nothing for so long does not run any more. */
const LOST_MS = 30_000

type Kept = PolicyPreview & Pick<KeptPreview, 'ageMs'>

/** Whether nothing is to be started: a live preview never begins again by itself. */
function isAnswer({ state, live, ageMs, until }: Kept): boolean {
  if (state !== 'failed') return true
  // guard: policy-live-no-retry
  return live && (ageMs < FAILURE_KEPT_MS || (until !== null && Date.parse(until) > Date.now()))
}

/**
 * @param seen hash of the preview that the administrator has seen
 * @throws GatehouseError `policy_preview_stale`: it is not that of the draft and of the policy in force as they are
 */
export function requirePreview(found: readonly KeptPreview[], key: PreviewKey, seen: string): PreviewResult {
  const result = lastOf(found, key)?.result
  if (result?.hash === seen) return result // guard: policy-preview-seen
  throw new GatehouseError('policy_preview_stale')
}

/** The one that was finished last. */
export function lastOf(found: readonly KeptPreview[], key: PreviewKey): Kept | undefined {
  const [last] = found.flatMap((each) => ofNow(each, key, SHOWN_MS) ?? []).filter(({ result }) => result !== null)
    .sort((one, other) => one.ageMs - other.ageMs) // guard: policy-preview-last
  return last
}

function ofNow(
  found: KeptPreview | undefined,
  { draftHash, policyHash }: PreviewKey,
  mostMs: number,
): Kept | undefined {
  // guard: policy-preview-of-now
  if (found === undefined || found.draftHash !== draftHash || found.policyHash !== policyHash) return undefined
  if (found.state === 'running' && found.ageMs > LOST_MS) {
    return { ...found, state: 'failed', code: 'preview_interrupted' }
  }
  return found.ageMs > mostMs ? undefined : found
}

export function draftPreviews(found: readonly KeptPreview[], key: PreviewKey): DraftPreviews {
  const [stored, live] = [false, true].map((isLive) => ofNow(ofKind(found, isLive), key, SHOWN_MS))
  return { stored, live }
}

/** What is answered in place of starting another one; undefined: another one is started. */
export function keptAnswer(found: readonly KeptPreview[], key: PreviewKey, isLive: boolean): PolicyPreview | undefined {
  const kept = begunOf(found, key, isLive)
  return kept !== undefined && isAnswer(kept) ? kept : undefined
}

/** Of this kind, the one that was begun last. */
export function begunOf(found: readonly KeptPreview[], key: PreviewKey, isLive: boolean): Kept | undefined {
  return ofNow(ofKind(found, isLive), key, KEPT_MS)
}

function ofKind(found: readonly KeptPreview[], isLive: boolean): KeptPreview | undefined {
  return found.find(({ live }) => live === isLive)
}
