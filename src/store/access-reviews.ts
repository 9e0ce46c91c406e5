// Marks of reviewers: what acts on them read and change (act-unit.ts), and how those that count no more are deleted.
import { sql } from 'drizzle-orm'
import { REVIEW_KEPT_DAYS, type ReviewsUnit } from '../core/reviews.js'
import type { Database, Transaction } from './database.js'
import { findRight, rightToMark, stillBound } from './rights-held.js'

export function reviewsUnit(tx: Transaction): ReviewsUnit {
  return {
    find: (personId, right) => findRight(tx, personId, right),
    async mark(personId, right, { verdict, reviewerId, note }) {
      await tx.execute(sql`
        insert into access_reviews (user_id, right_id, basis, verdict, reviewer_id, note)
        select held.id, held.right_id, held.basis, ${verdict}, ${reviewerId}, ${note}
        from (${rightToMark(personId, right)}) held
        on conflict (user_id, right_id) do update set basis = excluded.basis, verdict = excluded.verdict,
          reviewer_id = excluded.reviewer_id, note = excluded.note, at = clock_timestamp()`)
    },
  }
}

/** With the permissions of a group the right to be in it changes; with a membership: migration 0041. */
export async function dropReviewsOfGroup(tx: Transaction, groupId: string): Promise<void> {
  await tx.execute(sql`delete from access_reviews where right_id = ${groupId}`)
}

/** Those that are too old. */
export async function dropExpiredReviews(tx: Transaction): Promise<void> {
  await tx.execute(sql`delete from access_reviews where at < now() - make_interval(days => ${REVIEW_KEPT_DAYS})`)
}

interface Place extends Record<string, unknown> {
  readonly userId: string
  readonly rightId: string
}

/** Of one run: with 400,000 marks each is examined three times a day. */
const EXAMINED = 10_000

/**
 * Deletes marks whose right is not as it was. They count for nothing from that moment on, so nothing depends on when
 * this happens: each run examines some marks, and the next one goes on after them.
 */
export function createFallenReviews(database: Database, examined = EXAMINED): () => Promise<void> {
  let place: Place | undefined
  return async () => {
    const later = place === undefined
      ? sql`true`
      : sql`(user_id, right_id) > (${place.userId}::uuid, ${place.rightId})`
    // guard: review-fallen-deleted
    const { rows: [last] } = await database.ask((db) =>
      db.execute<Place>(sql`
        with part as materialized (select user_id, right_id, basis from access_reviews where ${later}
          order by user_id, right_id limit ${examined}),
        fallen as (delete from access_reviews r using part m
          where r.user_id = m.user_id and r.right_id = m.right_id and r.basis = m.basis and not ${stillBound('m')})
        select user_id as "userId", right_id as "rightId" from part order by user_id desc, right_id desc
          offset 0 limit case when (select count(*) from part) < ${examined} then 0 else 1 end`)
    )
    place = last
  }
}
