// A reviewer marks a right of another user as still right, or as not right any more. A mark changes no right: it says
// who looked at it and when. So it gives nobody anything, and is about rights of superusers too.
import type { Acting, ActTransaction } from '../../core/acts.js'
import { requireMayActUpon } from '../../core/ceiling.js'
import { requireOthersRight, rightOf, type HeldRight, type Review, type Verdict } from '../../core/reviews.js'
import { requireVersion } from '../../core/version-tag.js'
import { heldVersion, rightNotHeld } from '../reviews.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

export interface AskedReview {
  readonly personId: string
  /** `superuser`, `staff`, `group:NAME` */
  readonly right: string
  readonly verdict: Verdict
  readonly note: string | undefined
}

export interface ReviewActs {
  /**
   * In place of an earlier mark of the same right.
   * @throws GatehouseError `right_not_held`, `review_own_right`, `above_own_rights` (by an API token, about a superuser
   *   or a user with break-glass), `version_stale`
   */
  mark(asked: AskedReview, acting: Acting): Promise<Review>
}

/** In turn: two reviewers who mark rights of each other lock each other's users. */
const PEOPLE = { permission: 'gatehouse.people', inTurn: true } as const // guard: review-permission

export function createReviewActs(transaction: ActTransaction): ReviewActs {
  return {
    async mark(asked, acting) {
      checkText(asked.right, asked.note)
      return await perform(transaction, acting, PEOPLE, async (context) => await mark(asked, context))
    },
  }
}

async function mark({ personId, right: text, verdict, note = '' }: AskedReview, context: ActContext): Promise<Review> {
  const { unit: { people, memberships, reviews }, acting: { admin, ifMatch }, holder, record } = context
  const right = rightOf(text)
  const person = await people.target(personId)
  if (right === undefined || person === undefined) throw rightNotHeld(text)
  if (admin !== undefined) requireOthersRight(admin, personId)
  if (admin?.tokenId !== undefined) requireMayActUpon(holder, person) // guard: review-by-token
  // locked: neither its name nor its permissions change meanwhile
  if (right.group !== null) await memberships.group(right.group)
  const before = await reviews.find(personId, right)
  if (before === undefined) throw rightNotHeld(text)
  requireVersion(ifMatch, heldVersion(before))
  await reviews.mark(personId, right, { verdict, reviewerId: reviewerOf(context), note: note === '' ? null : note })
  const marked = await reviews.find(personId, right)
  const review = marked?.review
  if (review === undefined || review === null) throw rightNotHeld(text)
  await record({
    action: verdict === 'confirmed' ? 'review.confirm' : 'review.doubt',
    userId: personId,
    username: person.username,
    before: markOf(before),
    after: { verdict, note: review.note },
    detail: { right: text },
  })
  return review
}

function reviewerOf({ acting: { admin } }: ActContext): string {
  if (admin === undefined) throw new Error('a command reviews nothing')
  return admin.userId
}

function markOf({ review }: HeldRight): unknown {
  return review === null ? null : { verdict: review.verdict, reviewerId: review.reviewerId, note: review.note }
}
