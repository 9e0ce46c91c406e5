// The record, read back: newest first, page by page. Whatever it is filtered by, an index leads to the rows: values
// come from subqueries, so that PostgreSQL does not read by time what most rows have, for a row that is rare.
import { sql, type SQL } from 'drizzle-orm'
import type { AuditActor, AuditCursor, AuditFilter, AuditReader, AuditView } from '../core/audit.js'
import { PAGE_ROWS, pageOf, type Page, type PageRequest } from '../core/page.js'
import type { Database } from './database.js'

/** The columns of an `AuditView`. */
export const AUDIT_VIEW = sql`id::text, to_json(at) #>> '{}' as at, action, actor, user_id as "userId", username,
  correlation_id as "correlationId", detail`

export type AuditRequest = AuditFilter & PageRequest<AuditCursor>

export function createAuditReader(database: Database): AuditReader {
  return {
    list: (request) => listAudit(database, request),
    async users(ids) {
      const { rows } = await database.ask((db) =>
        db.execute<AuditActor & Record<string, unknown>>(
          sql`select id as "userId", username, name from users where id = any(${sql.param([...ids])}::uuid[])`,
        )
      )
      return rows
    },
  }
}

export async function listAudit(
  database: Database,
  { limit = PAGE_ROWS, ...request }: AuditRequest,
): Promise<Page<AuditView, AuditCursor>> {
  const { rows } = await database.ask((db) =>
    db.execute<AuditView & Record<string, unknown>>(query(request, limit + 1))
  )
  return pageOf<AuditView, AuditCursor>(rows, limit, ({ at, id }) => ({ at, id }))
}

/** The newest rows that meet these conditions too. */
type Newest = (...conditions: SQL[]) => SQL

interface Reads {
  readonly newest: Newest
  /** The same from the index that begins with these columns, whatever PostgreSQL expects of the others. */
  readonly newestWith: (equal: readonly Equal[]) => SQL
}

interface Equal {
  readonly column: SQL
  readonly value: SQL
}

function query(request: Omit<AuditRequest, 'limit'>, limit: number): SQL {
  const { since, until, after } = request
  // guard: list-audit-after
  const bounds = [
    ...after === undefined ? [] : [sql`(e.at, e.id) < (${after.at}::timestamptz, ${after.id}::bigint)`],
    ...since === undefined ? [] : [sql`e.at >= ${since.toISOString()}::timestamptz`],
    ...until === undefined ? [] : [sql`e.at < ${until.toISOString()}::timestamptz`],
  ]
  const newest: Newest = (...conditions) =>
    sql`select * from audit_events e where ${sql.join([sql`true`, ...bounds, ...conditions], sql` and `)}
      order by e.at desc, e.id desc limit ${limit}`
  const newestWith: Reads['newestWith'] = (equal) => newestByIndex(equal, bounds, request, limit)
  return sql`
    select ${AUDIT_VIEW} from (${
    filtered(request, { newest, newestWith })
  }) found order by found.at desc, found.id desc limit ${limit}`
}

/**
 * With an equality PostgreSQL may also read by time, and then reads a whole month for an action that is rare in it. A
 * range from a value to itself, and the order of all columns, leave it one index.
 */
function newestByIndex(
  equal: readonly Equal[],
  bounds: readonly SQL[],
  { since, until, after }: AuditFilter & { readonly after?: AuditCursor | undefined },
  limit: number,
): SQL {
  const columns = (...more: SQL[]) => sql`(${sql.join([...equal.map(({ column }) => column), ...more], sql`, `)})`
  const values = (...more: SQL[]) => sql`(${sql.join([...equal.map(({ value }) => value), ...more], sql`, `)})`
  const at = (time: Date) => sql`${time.toISOString()}::timestamptz`
  const first = since === undefined
    ? sql`${columns()} >= ${values()}`
    : sql`${columns(sql`e.at`)} >= ${values(at(since))}`
  const last = (): SQL => { // one condition alone, because PostgreSQL begins to read at any of several
    if (after !== undefined) {
      return sql`${columns(sql`e.at`, sql`e.id`)} < ${values(sql`${after.at}::timestamptz`, sql`${after.id}::bigint`)}`
    }
    if (until !== undefined) return sql`${columns(sql`e.at`)} < ${values(at(until))}`
    return sql`${columns()} <= ${values()}`
  }
  const order = [...equal.map(({ column }) => column), sql`e.at`, sql`e.id`].map((column) => sql`${column} desc`)
  return sql`select * from audit_events e where ${sql.join([first, last(), ...bounds], sql` and `)}
    order by ${sql.join(order, sql`, `)} limit ${limit}`
}

/** The rows of one user, or with one correlation id, are few: the other conditions are checked row by row. */
function filtered({ userId, correlationId, actor, action }: AuditFilter, { newest, newestWith }: Reads): SQL {
  const others = [
    ...actor === undefined ? [] : [sql`e.actor = ${actor}`],
    ...action === undefined ? [] : [named(sql`e.action`, action)],
  ]
  if (correlationId !== undefined) {
    const ofUser = userId === undefined ? [] : [sql`e.user_id = ${userId}::uuid`]
    return newestOf(
      sql`select ${correlationId}::text as value`,
      newest(sql`e.correlation_id = known.value`, ...ofUser, ...others),
    )
  }
  if (userId !== undefined) {
    return newestOf(sql`select ${userId}::uuid as value`, newest(sql`e.user_id = known.value`, ...others))
  }
  if (actor !== undefined) return newestOfActor(newestWith, actor, action) // guard: admin-audit-indexed
  return action === undefined ? newest() : newestOfActions(newestWith, action)
}

function newestOf(value: SQL, newest: SQL): SQL {
  return sql`with known as materialized (${value}) select newest.* from known cross join lateral (${newest}) newest`
}

function named(name: SQL, action: string): SQL {
  return sql`(${name} = ${action} or starts_with(${name}, ${`${action}.`}))`
}

/** The newest rows of each action that is wanted. There are a few dozen actions. */
function newestOfActions(newestWith: Reads['newestWith'], action: string): SQL {
  return sql`
    with recursive known as (
      (select action from audit_events order by action limit 1)
      union all
      select (select e.action from audit_events e where e.action > known.action order by e.action limit 1)
      from known where known.action is not null)
    select newest.* from known cross join lateral (${
    newestWith([{ column: sql`e.action`, value: sql`known.action` }])
  }) newest
    where ${named(sql`known.action`, action)}`
}

/** The same among the actions of one actor, which the order of both columns makes PostgreSQL read from their index. */
function newestOfActor(newestWith: Reads['newestWith'], actor: string, action: string | undefined): SQL {
  const both = [
    { column: sql`e.actor`, value: sql`known.actor` },
    { column: sql`e.action`, value: sql`known.action` },
  ]
  const next = (after: SQL) =>
    sql`
    select e.actor, e.action from audit_events e where (e.actor, e.action) > (${after})
    order by e.actor, e.action limit 1`
  return sql`
    with recursive known as (
      (select actor, action from (${next(sql`${actor}::text, ''`)}) first where actor = ${actor})
      union all
      select next.actor, next.action from known cross join lateral (${next(sql`known.actor, known.action`)}) next
      where next.actor = ${actor})
    select newest.* from known
    cross join lateral (${newestWith(both)}) newest
    where ${action === undefined ? sql`true` : named(sql`known.action`, action)}`
}
