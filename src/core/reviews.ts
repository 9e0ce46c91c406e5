// Access reviews: who has which right and why, and what a reviewer found of it. A mark is of the right as it was: it
// falls when the right is lost, or when its reason, its end or the permissions of the group change.
import type { ActingAdmin } from './acts.js'
import { GatehouseError } from './errors.js'
import type { Cause } from './mapping.js'
import type { Page, PageRequest } from './page.js'

export type Verdict = 'confirmed' | 'doubted'

export const VERDICTS: readonly Verdict[] = ['confirmed', 'doubted']

/** Marks are kept so long. */
export const REVIEW_KEPT_DAYS = 400

export type RightKind = 'superuser' | 'staff' | 'group'

export interface RightName {
  readonly kind: RightKind
  /** Name of the local group; null: a flag. */
  readonly group: string | null
}

const GROUP = 'group:'

/** `superuser`, `staff`, `group:NAME` */
export function rightText({ kind, group }: RightName): string {
  return group === null ? kind : `${GROUP}${group}`
}

/** Undefined: it is no name of a right. */
export function rightOf(text: string): RightName | undefined {
  if (text === 'superuser' || text === 'staff') return { kind: text, group: null }
  return text.startsWith(GROUP) ? { kind: 'group', group: text.slice(GROUP.length) } : undefined
}

export interface Review {
  readonly verdict: Verdict
  readonly reviewerId: string
  /** Username; null: the reviewer was removed. */
  readonly reviewer: string | null
  readonly at: string
  readonly note: string | null
}

/** A right that a user has. */
export interface HeldRight extends RightName {
  readonly personId: string
  readonly username: string
  readonly name: string | null
  readonly isActive: boolean
  /** Null: assigned by hand. */
  readonly cause: readonly Cause[] | null
  readonly since: string | null
  /** When it ends; null: it has no end of its own. */
  readonly until: string | null
  /** Of the group, sorted; none: a flag, or a group that permits nothing. */
  readonly permissions: readonly string[]
  readonly hasEntraIdentity: boolean
  /** The mark that counts; null: none, or the right has changed since. */
  readonly review: Review | null
}

/** A right fulfils every condition that is given. */
export interface RightsFilter {
  /** As of users (core/people.ts). */
  readonly q?: string | undefined
  /** Whether the user may sign in. */
  readonly active?: boolean | undefined
  readonly kind?: RightKind | undefined
  /** Name of a local group. */
  readonly group?: string | undefined
  /** Whether it has a mark that counts. */
  readonly reviewed?: boolean | undefined
  readonly verdict?: Verdict | undefined
}

/** The next page begins after this right; `place` is of the right among those of the user. */
export interface RightsCursor {
  readonly username: string
  readonly place: number
  readonly group: string
}

export type RightsRequest = RightsFilter & PageRequest<RightsCursor>

/**
 * In the order of usernames; of a user first superuser, then staff, then local groups by name. A page may have fewer
 * rows than its limit, also none, although it is not the last: then few of those that were examined fulfil the filters.
 */
export interface RightsHeld {
  list(request: RightsRequest): Promise<Page<HeldRight, RightsCursor>>
  /** Undefined: there is no such user, or the user does not have it. */
  find(personId: string, right: RightName): Promise<HeldRight | undefined>
  /** The marks of one user that count, by the text of the right. */
  reviewsOf(personId: string): Promise<ReadonlyMap<string, Review>>
}

export interface NewReview {
  readonly verdict: Verdict
  readonly reviewerId: string
  readonly note: string | null
}

/** What reviews read and change, in the transaction of the act (acts.ts). The user is locked. */
export interface ReviewsUnit extends Pick<RightsHeld, 'find'> {
  /** Of the right as it is now, in place of an earlier one. */
  mark(personId: string, right: RightName, review: NewReview): Promise<void>
}

/** Four eyes. @throws GatehouseError `review_own_right` */
export function requireOthersRight(admin: Pick<ActingAdmin, 'userId'>, personId: string): void {
  if (admin.userId !== personId) return // guard: review-own-right
  throw new GatehouseError('review_own_right', { detail: 'administrators do not review rights of their own' })
}
