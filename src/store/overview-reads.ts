// Counts for the overview of the console: who is signed in, who is superuser, and who became or was one within a week.
import { sql } from 'drizzle-orm'
import type { OverviewReader, SignedIn, Superusers, SuperuserChange } from '../core/overview.js'
import type { SessionTimeouts } from '../core/session.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'

const WEEK = sql`interval '7 days'`
const MAX_CHANGES = 50

export function createOverviewReader(
  database: Database,
  { idleTimeoutMs, absoluteTimeoutMs }: SessionTimeouts,
): OverviewReader {
  return {
    async signedIn() {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<SignedIn & Record<string, unknown>>(sql`
          select count(*)::int as sessions, count(distinct user_id)::int as people from sessions
          where created_at > ${ago(absoluteTimeoutMs)} and last_seen_at > ${ago(idleTimeoutMs)}`)
      )
      return { sessions: row?.sessions ?? 0, people: row?.people ?? 0 }
    },
    superusers: () => readSuperusers(database),
  }
}

/** A loss is a row of the record with the flag before it, of a user without the flag now. */
async function readSuperusers(database: Database): Promise<Superusers> {
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ count: number, gained: readonly SuperuserChange[], lost: readonly SuperuserChange[] }>(sql`
      select (select count(*)::int from users where is_superuser and is_active) as count,
        (select coalesce(json_agg(g), '[]') from (
          select id as "userId", username, superuser_since as at, 'gained' as change from users
          where is_superuser and superuser_since > now() - ${WEEK}
          order by superuser_since desc limit ${MAX_CHANGES}) g) as gained,
        (select coalesce(json_agg(l), '[]') from (
          select e.user_id as "userId", e.username, e.at, 'lost' as change from audit_events e
          where e.detail #>> '{before,superuser}' = 'true' and e.at > now() - ${WEEK}
            and not exists (select from users u where u.id = e.user_id and u.is_superuser)
          order by e.at desc, e.id desc limit ${MAX_CHANGES}) l) as lost`)
  )
  const changes = [...row?.gained ?? [], ...row?.lost ?? []].sort((a, b) => b.at.localeCompare(a.at))
  return { count: row?.count ?? 0, changes }
}
