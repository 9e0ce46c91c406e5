// Records that an administrator looked at a user: a read of personal data has a row in the record too.
import { sql } from 'drizzle-orm'
import type { PersonViewed } from '../core/people.js'
import type { Database } from './database.js'

export const PERSON_VIEWED = 'admin.person.viewed'

/**
 * One row a minute for each actor and user. Two requests at the same time wait for one another, so that they do not
 * write two.
 */
export function recordPersonViewed(
  database: Database,
  { actor, userId, username, correlationId, detail }: PersonViewed,
): Promise<void> {
  return database.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${PERSON_VIEWED} ${actor} ${userId}`}, 0))`)
    await tx.execute(sql`
      insert into audit_events (action, actor, user_id, username, correlation_id, detail)
      select ${PERSON_VIEWED}, ${actor}, ${userId}::uuid, ${username}, ${correlationId}, ${
      JSON.stringify(detail)
    }::jsonb
      where not exists (select 1 from audit_events e where e.user_id = ${userId}::uuid and e.action = ${PERSON_VIEWED}
        and e.actor = ${actor} and e.at > now() - interval '1 minute')`)
  })
}
