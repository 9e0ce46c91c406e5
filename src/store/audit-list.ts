// The record, read back: newest first, page by page.
import { sql, type SQL } from 'drizzle-orm'
import type { Database } from './database.js'
import { PAGE_ROWS, pageOf, type Page, type PageRequest } from '../core/page.js'

export interface AuditView extends Record<string, unknown> {
  readonly at: string
  readonly action: string
  readonly actor: string
  readonly username: string | null
  readonly correlationId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

/** Rows of one transaction have the same time. */
export interface AuditCursor {
  readonly at: string
  readonly id: string
}

export interface AuditRequest extends PageRequest<AuditCursor> {
  readonly userId?: string | undefined
  /** Not before this instant. */
  readonly since?: Date | undefined
  /** Before this instant. */
  readonly until?: Date | undefined
  /** An action, or the words it begins with: `group` finds `group.add`. */
  readonly action?: string | undefined
}

export async function listAudit(
  database: Database,
  { limit = PAGE_ROWS, ...request }: AuditRequest,
): Promise<Page<AuditView, AuditCursor>> {
  const { rows } = await database.ask((db) => db.execute<AuditView & { id: string }>(query(request, limit + 1)))
  const { rows: events, next } = pageOf(rows, limit, ({ at, id }) => ({ at, id }))
  return { rows: events.map(({ id: _id, ...event }) => event as AuditView), next }
}

function query({ userId, since, until, action, after }: Omit<AuditRequest, 'limit'>, limit: number): SQL {
  const conditions = [
    ...after === undefined ? [] : [sql`(e.at, e.id) < (${after.at}::timestamptz, ${after.id}::bigint)`],
    ...since === undefined ? [] : [sql`e.at >= ${since.toISOString()}::timestamptz`],
    ...until === undefined ? [] : [sql`e.at < ${until.toISOString()}::timestamptz`],
    ...userId === undefined ? [] : [sql`e.user_id = ${userId}::uuid`],
  ]
  const newest = (...more: SQL[]): SQL =>
    sql`select * from audit_events e where ${sql.join([sql`true`, ...conditions, ...more], sql` and `)}
      order by e.at desc, e.id desc limit ${limit}`
  return sql`
    select id::text, to_json(at) #>> '{}' as at, action, actor, username, correlation_id as "correlationId", detail
    from (${action === undefined ? newest() : newestOf(action, userId === undefined, newest)}) found
    order by found.at desc, found.id desc limit ${limit}`
}

/** @param each read the newest rows of each action by its index; the rows of one user are few */
function newestOf(action: string, each: boolean, newest: (condition: SQL) => SQL): SQL {
  const named = (name: SQL): SQL => sql`(${name} = ${action} or starts_with(${name}, ${`${action}.`}))`
  if (!each) return newest(named(sql`e.action`))
  return sql`
    with recursive actions as (
      (select action from audit_events order by action limit 1)
      union all
      select (select e.action from audit_events e where e.action > actions.action order by e.action limit 1)
      from actions where actions.action is not null)
    select newest.* from actions cross join lateral (${newest(sql`e.action = actions.action`)}) newest
    where ${named(sql`actions.action`)}`
}
