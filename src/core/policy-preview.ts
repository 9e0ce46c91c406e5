// Previews of a draft of the policy: who gains and loses which rights, from the last snapshots of all active users.
import type { RightCount } from './change-ranking.js'
import type { MappedRights } from './explain.js'

export type PreviewState = 'running' | 'done' | 'failed'

/** Of one user; names of groups are the first ones of many. */
export interface PreviewedUser {
  readonly userId: string
  readonly username: string
  /** Of the snapshot, ISO 8601. */
  readonly readAt: string
  /** 1 gained, -1 lost, 0 unchanged. */
  readonly superuser: -1 | 0 | 1
  readonly staff: -1 | 0 | 1
  readonly gained: readonly string[]
  readonly lost: readonly string[]
  /** How many more groups there are than those named. */
  readonly moreGained: number
  readonly moreLost: number
}

export interface PreviewResult {
  /** SHA-256 over the draft, the policy in force and every change: 64 hex characters. */
  readonly hash: string
  /** Active users with a snapshot. */
  readonly users: number
  readonly changed: number
  /** Users who gain a right, and who lose one: both may be true of a user. */
  readonly gains: number
  readonly losses: number
  readonly newSuperusers: number
  /** Of the snapshots, ISO 8601; null: there is none. */
  readonly oldestReading: string | null
  readonly newestReading: string | null
  /** New superusers first, then new staff, other gains, losses; at most MOST_PREVIEWED. */
  readonly changes: readonly PreviewedUser[]
  /** By right, flags first; at most MOST_COUNTED, of which most users gain or lose. */
  readonly counts: readonly RightCount[]
}

/** The preview of a draft that was made last, or is under way. */
export interface PolicyPreview {
  readonly state: PreviewState
  /** Users read, and about how many there are. */
  readonly done: number
  readonly total: number
  /** ISO 8601. */
  readonly startedAt: string
  /** Of a run that has failed. */
  readonly code: string | null
  readonly draftHash: string
  readonly policyHash: string
  readonly result: PreviewResult | null
}

/** What is needed of a user with a snapshot. */
export interface PreviewedSnapshot extends MappedRights {
  readonly userId: string
  readonly username: string
  readonly readAt: string
  readonly entraGroupIds: readonly string[]
}

export interface PreviewKey {
  readonly draftHash: string
  readonly policyHash: string
}

export type PreviewEnd = { readonly result: PreviewResult } | { readonly code: string }

/** Keeps one preview for each draft. */
export interface PolicyPreviews {
  /** Undefined: there is none. */
  byDraft(draft: string): Promise<KeptPreview | undefined>
  /** In place of the one before. @returns false: there is no such draft */
  begin(draft: string, run: string, key: PreviewKey & { readonly total: number }): Promise<boolean>
  /** @returns false: another run has taken the place of this one, or the draft was deleted */
  progress(run: string, done: number): Promise<boolean>
  end(run: string, done: number, end: PreviewEnd): Promise<void>
}

export interface KeptPreview extends PolicyPreview {
  /** Milliseconds since it was written last. */
  readonly ageMs: number
}

export const MOST_PREVIEWED = 200
export const MOST_COUNTED = 200
/** Groups of a user that are named. */
export const MOST_NAMED = 20
