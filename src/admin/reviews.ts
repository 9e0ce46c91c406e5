// Access reviews for the console and its API: who has which right, why, and whether a reviewer found it still right.
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import type { MappingRow } from '../core/mapping.js'
import type { Page } from '../core/page.js'
import {
  rightOf,
  rightText,
  type HeldRight,
  type Review,
  type RightsCursor,
  type RightsHeld,
  type RightsRequest,
} from '../core/reviews.js'
import { versionTag } from '../core/version-tag.js'
import { createReasons, type RightReason } from './person.js'
import { checkText } from './text.js'

export interface ReviewedRight extends Omit<HeldRight, 'cause' | 'hasEntraIdentity'> {
  /** `superuser`, `staff`, `group:NAME` */
  readonly right: string
  readonly byHand: boolean
  /** Assigned by hand to a user with an Entra identity: the next sign-in or re-evaluation takes it away. */
  readonly endsAtNextSignIn: boolean
  readonly reasons: readonly RightReason[]
  /** Of what a reviewer must have seen. */
  readonly etag: string
}

export interface ReviewsAdmin {
  list(request: RightsRequest): Promise<Page<ReviewedRight, RightsCursor>>
  /** @throws GatehouseError `right_not_held` */
  get(personId: string, right: string): Promise<ReviewedRight>
}

export interface ReviewsPorts {
  readonly rights: Pick<RightsHeld, 'list' | 'find'>
  /** The mapping in force. */
  readonly mapping: () => readonly MappingRow[]
}

export function createReviewsAdmin({ rights, mapping }: ReviewsPorts): ReviewsAdmin {
  return {
    async list(request) {
      checkText(request.q, request.group)
      const { rows, next } = await rights.list(request)
      const reasonsOf = createReasons(mapping())
      return { rows: rows.map((right) => viewOf(right, reasonsOf)), next }
    },
    async get(personId, text) {
      checkText(text)
      const right = rightOf(text)
      const held = right === undefined || !isObjectId(personId) ? undefined : await rights.find(personId, right)
      if (held === undefined) throw rightNotHeld(text)
      return viewOf(held, createReasons(mapping()))
    },
  }
}

export function rightNotHeld(text: string): GatehouseError {
  return new GatehouseError('right_not_held', {
    detail: `there is no such user, or the user does not have the right ${JSON.stringify(text.slice(0, 310))}`,
    remedy: 'Rights are superuser, staff and group:NAME; names are compared exactly.',
  })
}

function viewOf(right: HeldRight, reasonsOf: ReturnType<typeof createReasons>): ReviewedRight {
  const { cause, hasEntraIdentity, ...held } = right
  const byHand = cause === null
  return {
    ...held,
    right: rightText(held),
    byHand,
    endsAtNextSignIn: byHand && hasEntraIdentity,
    reasons: reasonsOf(held.kind, held.group ?? held.kind, cause ?? []),
    etag: versionTag(heldVersion(right)),
  }
}

/** What a review must have seen: the right with its reasons, end and permissions, and the mark that it replaces. */
export function rightVersion(
  { personId, right, byHand, reasons, since, until, permissions, review }:
    & Pick<ReviewedRight, 'personId' | 'right' | 'byHand' | 'since' | 'until' | 'permissions'>
    & {
      readonly reasons: readonly Pick<RightReason, 'entraGroup'>[]
      readonly review: Omit<Review, 'reviewer'> | null
    },
): unknown {
  const at = (time: string | null): number | null => time === null ? null : Date.parse(time)
  const entraGroups = [...new Set(reasons.map(({ entraGroup }) => entraGroup))].sort()
  const mark = review === null ? null : [review.verdict, review.reviewerId, at(review.at), review.note]
  // guard: review-permissions-seen
  return [personId, right, byHand, entraGroups, at(since), at(until), permissions, mark]
}

/** The same of a right as the database has it. */
export function heldVersion(held: HeldRight): unknown {
  return rightVersion({ ...held, right: rightText(held), byHand: held.cause === null, reasons: held.cause ?? [] })
}
