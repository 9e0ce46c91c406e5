// Counts for the overview of the console: who is signed in, who is superuser, and who became or was one within a week.
import { sql, type SQL } from 'drizzle-orm'
import type {
  OverviewReader,
  SignedIn,
  SuperuserChange,
  Superusers,
  SuperusersThen,
  SuperuserThen,
} from '../core/overview.js'
import { PAGE_ROWS, pageOf } from '../core/page.js'
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
    superusersAt: (request) => readSuperusersAt(database, request),
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

/**
 * Those who have the flag since then, and those of whom the first later change of their flags has it before the change.
 * An index has the changes with the flag before them, and another one the changes of each user.
 */
async function readSuperusersAt(
  database: Database,
  { at, after, limit = PAGE_ROWS }: Parameters<OverviewReader['superusersAt']>[0],
): Promise<SuperusersThen> {
  const then = sql`${at.toISOString()}::timestamptz`
  // scalar: an index is read for each user, and never the whole record
  const firstLater = (value: SQL) =>
    sql`(select ${value} from audit_events e where e.user_id = c.id and e.at > ${then} and ${value} is not null
      order by e.at, e.id limit 1)`
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ rows: readonly SuperuserThen[], recordedSince: string | null }>(sql`
      with changed as materialized (
        select distinct e.user_id as id from audit_events e where ${HAD_FLAG} = 'true' and e.at > ${then}
      ),
      candidates as materialized (
        select id from users where is_superuser and coalesce(superuser_since, created_at) <= ${then}
        union
        select c.id from changed c where ${firstLater(HAD_FLAG)} = 'true'
      )
      select (
        select to_json(greatest((select min(at) from audit_events), (select max(flags_recorded_since) from outbox)))
          #>> '{}'
      ) as "recordedSince", (
        select coalesce(json_agg(found order by found.username), '[]') from (
          select u.id, u.username, u.name, u.is_superuser and u.is_active as "isSuperuser"
          from candidates c join users u on u.id = c.id
          where u.created_at <= ${then} and u.username > ${after?.username ?? ''}
            and coalesce(${firstLater(WAS_ACTIVE)}::boolean, u.is_active)
          order by u.username limit ${limit + 1}
        ) found) as rows`)
  )
  const page = pageOf(row?.rows ?? [], limit, ({ username }) => ({ username }))
  return { ...page, recordedSince: row?.recordedSince ?? null }
}

/** Of a row of the audit: the flag before a change of flags; null in other rows. */
const HAD_FLAG = sql`(e.detail #>> '{before,superuser}')`
const WAS_ACTIVE = sql`(e.detail #>> '{before,active}')`
