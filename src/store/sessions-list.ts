// Active sessions, newest first, page by page. Each filter has an index in this order (schema.ts); where several are
// given, one of them is used and the others are conditions on the rows that it lists (rounds.ts).
import { sql, type SQL } from 'drizzle-orm'
import { PAGE_ROWS } from '../core/page.js'
import type { SessionTimeouts } from '../core/session.js'
import type { SessionCursor, SessionFilter, SessionsList, SessionView } from '../core/sessions-list.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'
import { pageInRounds, type Round } from './rounds.js'
import { stillActive } from './sessions.js'

export function createSessionsList(database: Database, timeouts: SessionTimeouts): SessionsList {
  return {
    async list({ after, limit = PAGE_ROWS, ...filter }) {
      const [first = sql`true`, ...others] = conditionsOf(filter)
      return await pageInRounds<SessionView, SessionCursor>({
        after,
        limit,
        first: others.length === 0 ? limit + 1 : 4 * limit,
        cursorOf: ({ id, createdAt }) => ({ id, createdAt }),
        async read(from, examine) {
          const examined = sql`select s.* from sessions s where ${first} and ${olderThan(filter)} and ${earlier(from)}
            order by s.created_at desc, s.public_id desc limit ${examine}`
          const query = pageQuery(examined, sql.join([stillActive(timeouts), ...others], sql` and `), limit + 1)
          const { rows: [row] } = await database.ask((db) =>
            db.execute<Round<SessionView, SessionCursor | null> & Record<string, unknown>>(query)
          )
          const { rows = [], examined: count = 0, last } = row ?? {}
          return { rows, examined: count, last: last ?? undefined }
        },
      })
    },
    async byId(publicId) {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ session: SessionView }>(sql`
          select ${SESSION_VIEW} as session from sessions s join users u on u.id = s.user_id
          where s.public_id = ${publicId} and ${stillActive(timeouts)}`)
      )
      return row?.session
    },
  }
}

/** Those that usually select the fewest come first. */
function conditionsOf({ userId, address, host, browser }: SessionFilter): readonly SQL[] {
  return [
    ...userId === undefined ? [] : [sql`s.user_id = ${userId}`],
    ...address === undefined ? [] : [sql`s.client_address = ${address}`],
    ...host === undefined ? [] : [sql`s.last_host = ${host}`],
    ...browser === undefined ? [] : [sql`s.browser = ${browser}`],
  ]
}

function olderThan({ olderThanMs }: SessionFilter): SQL {
  return olderThanMs === undefined ? sql`true` : sql`s.created_at <= ${ago(olderThanMs)}`
}

function earlier(after: SessionCursor | undefined): SQL {
  if (after === undefined) return sql`true`
  // guard: list-sessions-after
  return sql`(s.created_at, s.public_id) < (${after.createdAt}::timestamptz, ${after.id})`
}

/** Of `sessions s` and `users u`. */
const SESSION_VIEW = sql`json_build_object('id', s.public_id, 'userId', u.id, 'username', u.username,
  'createdAt', s.created_at, 'lastSeenAt', s.last_seen_at, 'browser', s.browser, 'address', s.client_address,
  'host', s.last_host)`

/** `offset 0`: the users are read one by one by their id, and not by a join with the whole table. */
function pageQuery(examined: SQL, conditions: SQL, most: number): SQL {
  return sql`
    with examined as materialized (${examined})
    select (select count(*)::int from examined) as examined,
      (select json_build_object('id', public_id, 'createdAt', created_at) from examined
        order by created_at, public_id limit 1) as last,
      (select coalesce(json_agg(found.session order by found.created_at desc, found.id desc), '[]') from (
        select s.created_at, s.public_id as id, ${SESSION_VIEW} as session
        from examined s cross join lateral (select * from users where id = s.user_id offset 0) u
        where ${conditions} order by s.created_at desc, s.public_id desc limit ${most}
      ) found) as rows`
}
