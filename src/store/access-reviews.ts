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

interface Key extends Record<string, unknown> {
  readonly userId: string
  readonly rightId: string
}

/** Of one statement. */
const EXAMINED = 1_000
/** Of one run: with 400,000 reviews each is examined three times a day. */
const PORTIONS = 10

/**
 * Deletes reviews whose right is not as it was. They count for nothing from that moment on, so nothing depends on when
 * this happens: each run examines some of them, and the next one goes on after them, also where the deletion failed.
 */
export function createFallenReviews(database: Database, examined = EXAMINED): () => Promise<void> {
  let after: Key | undefined
  return async () => {
    for (let portion = 0; portion < PORTIONS; portion++) {
      const later = after === undefined
        ? sql`true`
        : sql`(user_id, right_id) > (${after.userId}::uuid, ${after.rightId})`
      const { rows: [last] } = await database.ask((db) =>
        db.execute<Key>(sql`select user_id as "userId", right_id as "rightId" from access_reviews where ${later}
          order by user_id, right_id limit 1 offset ${examined - 1}`)
      )
      after = last // guard: review-fallen-moves-on
      // guard: review-fallen-deleted
      await database.ask((db) =>
        db.execute(sql`
          with part as materialized (select user_id, right_id, basis from access_reviews where ${later}
            order by user_id, right_id limit ${examined})
          delete from access_reviews r using part m
            where r.user_id = m.user_id and r.right_id = m.right_id and r.basis = m.basis and not ${stillBound('m')}`)
      )
      if (last === undefined) return
    }
  }
}
