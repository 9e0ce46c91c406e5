// Previews that read the Entra groups of everybody from Graph. One of them runs in the installation, counted over all
// replicas and commands, and it gives way to sign-ins.
import { GatehouseError } from './errors.js'

/** Who runs the one live preview. */
export interface LivePreviewHolder {
  /** As in the audit record: `admin:<user id>`, `cli:<os user>`. */
  readonly actor: string
  /** Null: a command, or a user who was removed. */
  readonly actorName: string | null
  /** Name of the replica, or host of the command. */
  readonly place: string
  /** ISO 8601. */
  readonly startedAt: string
}

export interface NewLivePreview extends Pick<LivePreviewHolder, 'actor' | 'place'> {
  /** A UUID of this one run. */
  readonly run: string
}

export type LivePreviewStart =
  | { readonly kind: 'begun' }
  | { readonly kind: 'busy', readonly holder: LivePreviewHolder }
  /** Graph has asked to wait: a live preview before, or the sign-ins of a replica. */
  | { readonly kind: 'paused', readonly until: string, readonly asked: 'preview' | 'sign-ins' }

export interface LivePreviews {
  /** Begins one where there is none, or where the process of the one that there is has ended. */
  begin(run: NewLivePreview): Promise<LivePreviewStart>
  /** To be called again and again: a process that does not call it for LIVE_LEASE_MS has ended. */
  renew(run: string): Promise<LivePreviewRenewal>
  /** @param waitMs until then no other one begins */
  end(run: string, waitMs?: number): Promise<void>
}

export interface LivePreviewRenewal {
  /** False: another process has taken over. */
  readonly isHeld: boolean
  /** ISO 8601: until when Graph has asked the sign-ins of a replica to wait; null: it has not. */
  readonly signInsHeldUntil: string | null
}

export const LIVE_LEASE_MS = 15_000

export function livePreviewRefused(start: Exclude<LivePreviewStart, { kind: 'begun' }>): GatehouseError {
  if (start.kind === 'paused') {
    const whom = start.asked === 'preview' ? 'a live preview before' : 'the sign-ins'
    return throttledUntil(start.until, `Microsoft Graph asked ${whom} to wait until ${start.until}.`)
  }
  const { actor, actorName, place, startedAt } = start.holder
  const sentence = `Another live preview runs: ${actorName ?? actor} began it at ${startedAt} (${place}).`
  return new GatehouseError('live_preview_busy', {
    sentence,
    detail: sentence.slice(0, -1),
    remedy: 'One runs in the installation at a time: try again when it has ended, or preview without Graph.',
  })
}

/** @param until ISO 8601 */
export function throttledUntil(until: string, sentence: string): GatehouseError {
  return new GatehouseError('graph_throttled', {
    sentence,
    detail: sentence.slice(0, -1),
    remedy: 'Nothing was changed. Begin it again afterwards, or preview without Graph.',
    facts: { until },
  })
}
