// Previews of a draft of the policy: who gains and loses which rights, from the last snapshots of all active users.
import type { DecisionWord, SessionRights } from './access.js'
import type { RightCount } from './change-ranking.js'
import type { MappedRights } from './explain.js'
import type { SampledRequest } from './request-sample.js'

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
  /** Whether the groups were read from Graph for it; otherwise they are of the stored snapshots. */
  readonly live: boolean
  /** Active users with a snapshot. */
  readonly users: number
  /** Of them, those whose account is disabled or deleted in Entra ID: only a live preview finds them. */
  readonly unavailable: number
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
  /** Of `access`, for the users' rights by the draft. Null: `access.sample` is 0. */
  readonly sampled: PreviewedRequests | null
}

export interface PreviewedRule {
  /** Such as `access.rules[2]`. */
  readonly path: string
  /** What people read in its place. */
  readonly name: string | null
}

export interface PreviewedDecision {
  readonly decision: DecisionWord
  readonly rule: PreviewedRule
}

/** A sampled request (core/request-sample.ts) that would be decided otherwise. */
export interface PreviewedRequest extends Omit<SampledRequest, 'rule'> {
  /** Null: without a session. */
  readonly username: string | null
  /** How often it was sampled. */
  readonly count: number
  /** The rule that decided about it; null: the rules were not evaluated, or it is not in force any more. */
  readonly decidedBy: PreviewedRule | null
  readonly now: PreviewedDecision
  readonly then: PreviewedDecision
}

export interface PreviewedRequests {
  /** Different requests of the last day. */
  readonly compared: number
  /** Of them, those that would be decided otherwise. */
  readonly differing: number
  /** Of them, those that depend on the address of the client now and then: it is not kept. */
  readonly undecided: number
  /** Those that would be let in first, then the most frequent ones; at most MOST_REQUESTS. */
  readonly requests: readonly PreviewedRequest[]
}

/** Rights of now, and what the last snapshot has of the Entra groups that matter. */
export interface SampledUser extends SessionRights {
  readonly username: string
  /** Null: there is no snapshot, and no mapping changes the rights. */
  readonly entraGroupIds: readonly string[] | null
}

/** The preview of a draft that was made last, or is under way. */
export interface PolicyPreview {
  readonly state: PreviewState
  readonly live: boolean
  /** Users read, and about how many there are. */
  readonly done: number
  readonly total: number
  /** ISO 8601. */
  readonly startedAt: string
  /** Of a run that has failed. */
  readonly code: string | null
  /** ISO 8601: until when Graph asked a run that has failed to wait; null: it did not. */
  readonly until: string | null
  readonly draftHash: string
  readonly policyHash: string
  readonly result: PreviewResult | null
}

/** What is needed of a user with a snapshot. */
export interface PreviewedSnapshot extends MappedRights {
  readonly userId: string
  readonly username: string
  readonly readAt: string
  /** Undefined: the account is disabled or deleted in Entra ID. */
  readonly entraGroupIds: readonly string[] | undefined
}

/** A preview by the stored snapshots, and a live one. Undefined: there is none of the draft and the policy of now. */
export interface DraftPreviews {
  readonly stored: PolicyPreview | undefined
  readonly live: PolicyPreview | undefined
}

export interface PreviewKey {
  readonly draftHash: string
  readonly policyHash: string
}

export type PreviewEnd = { readonly result: PreviewResult } | {
  readonly code: string
  /** ISO 8601. */
  readonly until?: string | undefined
}

export interface NewPreview extends PreviewKey {
  readonly live: boolean
  readonly total: number
}

/** Users who gain a right, and who lose one. */
export type ChangeCounts = Pick<PreviewResult, 'gains' | 'losses'>

/** Keeps two previews for each draft: one by the stored snapshots, and a live one. */
export interface PolicyPreviews {
  /** @param hash of the preview @returns undefined where it is not kept any more, or is not about this change */
  countsOf(hash: string, key: PreviewKey): Promise<ChangeCounts | undefined>
  byDraft(draft: string): Promise<readonly KeptPreview[]>
  /** In place of the one of its kind. @returns false: there is no such draft */
  begin(draft: string, run: string, preview: NewPreview): Promise<boolean>
  /** @returns false: another run has taken the place of this one, or the draft was deleted */
  progress(run: string, done: number): Promise<boolean>
  end(run: string, done: number, end: PreviewEnd): Promise<void>
}

export interface KeptPreview extends PolicyPreview {
  /** Milliseconds since it was written last. */
  readonly ageMs: number
}

export const MOST_PREVIEWED = 200
export const MOST_REQUESTS = 200
export const MOST_COUNTED = 200
/** Groups of a user that are named. */
export const MOST_NAMED = 20
