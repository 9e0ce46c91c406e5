// Reads users in the order in which their re-evaluation comes: by their snapshots, by their attempts without one, or by
// their signals. Each statement reads one page, however many users there are. Users without a session are left out
// until their next sign-in, whose snapshot adds them again by a trigger (migrations/0018_reevaluation_order.sql).
import { sql, type SQL } from 'drizzle-orm'
import { SETTLED_AFTER_MS, type DueCandidate } from '../core/due-users.js'
import { BEFORE_ALL_IDS } from '../core/first-id.js'
import type { ActiveUsersOptions } from './active-users.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'
import { stillActive } from './sessions.js'

const PAGE = 2_000
/** Sessions whose users are looked at in each run: a million in two hours, with a run every fifteen seconds. */
const REVISED = 2_000
const FIRST = { time: '-infinity', userId: BEFORE_ALL_IDS }

export interface OrderedUser extends DueCandidate {
  /** With an Entra identity of the configured tenant, so that Graph can answer. */
  readonly ours: boolean
  /** With a session that is not over. */
  readonly active: boolean
}

export type UserOrder =
  | { readonly by: 'snapshot', readonly privileged: boolean, readonly olderThanMs?: number }
  | { readonly by: 'attempt' }
  | { readonly by: 'signal' }

type Row = Record<string, unknown> & OrderedUser & { readonly time: string, readonly ended: boolean }

export interface ReevaluationOrder {
  /** Users with an Entra identity and an active session, the earliest time first. */
  users(order: UserOrder): AsyncGenerator<OrderedUser>
  /** Of snapshots in the order; a user whose session ended lately is still counted. */
  count(): Promise<{ readonly privileged: number, readonly total: number }>
  /**
   * Looks at the users of a part of the sessions, of another one with each call: without a snapshot they get an old and
   * empty one, and what the triggers keep beside a snapshot is corrected. No program leaves either behind; a backup
   * restored in parts, changes with triggers off, or a server's clock that went back can.
   */
  revise(): Promise<void>
}

export function createReevaluationOrder(database: Database, options: ActiveUsersOptions): ReevaluationOrder {
  let revisedUpTo = ''
  return {
    users: (order) => usersInOrder(database, options, order),
    async count() {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ privileged: number, total: number }>(sql`
          select count(*) filter (where privileged)::int as privileged, count(*)::int as total from entra_readings
          where not without_session`)
      )
      return row ?? { privileged: 0, total: 0 }
    },
    async revise() {
      revisedUpTo = await revise(database, revisedUpTo)
    },
  }
}

async function* usersInOrder(
  database: Database,
  options: ActiveUsersOptions,
  order: UserOrder,
): AsyncGenerator<OrderedUser> {
  for (let after = FIRST;;) {
    const { rows } = await database.ask((db) => db.execute<Row>(described(pageOf(order, after), options)))
    await leaveOut(database, order, rows.filter(({ ended }) => ended)) // guard: sync-order-ended
    for (const row of rows) if (row.oid !== null && row.active) yield row // guard: sync-order-active
    if (rows.length < PAGE) return
    after = rows.at(-1) ?? FIRST
  }
}

/** Where an order is, and its time. */
const ORDERS = {
  snapshot: { table: sql`entra_readings`, time: sql`read_at` },
  attempt: { table: sql`entra_checks`, time: sql`tried_at` },
  signal: { table: sql`change_signals`, time: sql`signalled_at` },
}

/** The first users after a place. The limit is inside, so that only these are looked up in other tables. */
function pageOf(order: UserOrder, after: { readonly time: string, readonly userId: string }): SQL {
  const { table, time } = ORDERS[order.by]
  // guard: sync-order-indexed
  return sql`select user_id, ${time} as time from ${table}
    where ${inOrder(order)} and (${time}, user_id) > (${after.time}::timestamptz, ${after.userId}::uuid)
    order by ${time}, user_id limit ${PAGE}`
}

function inOrder(order: UserOrder): SQL {
  if (order.by !== 'snapshot') return sql`true`
  const older = order.olderThanMs === undefined ? sql`` : sql` and read_at < ${ago(order.olderThanMs)}`
  return sql`not without_session and privileged = ${order.privileged}${older}`
}

/**
 * `ended`: no session is left, not even one that is over and not yet swept. Each table is looked up for each row of the
 * page: a join may be planned as a scan of everything.
 */
function described(page: SQL, options: ActiveUsersOptions): SQL {
  const age = (time: SQL) => sql`(extract(epoch from now() - ${time}) * 1000)::float8`
  // guard: sync-order-tenant, sync-order-looked-up
  return sql`
    select p.user_id as "userId", u.username, i.oid::text as oid, coalesce(i.ours, false) as ours,
      coalesce(u.is_staff or u.is_superuser, false) as privileged, to_json(p.time) #>> '{}' as time,
      coalesce(${age(sql`r.read_at`)}, 'infinity') as "readAge", ${age(sql`c.tried_at`)} as "triedAge",
      ${age(sql`c.missing_since`)} as "missingAge", ${age(sql`g.signalled_at`)} as "signalAge",
      active.found is not null as active, session.found is null as ended
    from (${page}) p
    left join lateral (select * from users where id = p.user_id limit 1) u on true
    left join lateral (select oid, tid = ${options.tenantId} as ours from identities where user_id = p.user_id
      order by tid = ${options.tenantId} desc limit 1) i on true
    left join lateral (select read_at from entra_readings where user_id = p.user_id limit 1) r on true
    left join lateral (select tried_at, missing_since from entra_checks where user_id = p.user_id limit 1) c on true
    left join lateral (select signalled_at from change_signals where user_id = p.user_id limit 1) g on true
    left join lateral (select true as found from sessions where user_id = p.user_id limit 1) session on true
    left join lateral (select true as found from sessions s where s.user_id = u.id and ${stillActive(options)}
      limit 1) active on true
    order by p.time, p.user_id`
}

/**
 * What a sign-in or a run has changed since the page was read is left as it is, and so is what one of them has locked.
 * A signal stays until a sign-in certainly reads the change.
 */
async function leaveOut(database: Database, { by }: UserOrder, ended: readonly Row[]): Promise<void> {
  if (ended.length === 0) return
  const { table, time } = ORDERS[by]
  const seen = sql`unnest(${sql.param(ended.map(({ userId }) => userId))}::uuid[],
    ${sql.param(ended.map((row) => row.time))}::timestamptz[]) as seen (user_id, time)`
  // guard: sync-sign-in-stays
  const unchanged = sql`user_id in (
    select o.user_id from ${table} o join ${seen} on seen.user_id = o.user_id and seen.time = o.${time}
    ${by === 'signal' ? sql`where seen.time < ${ago(SETTLED_AFTER_MS)}` : sql``} for update of o skip locked)`
  const change = by === 'snapshot' ? sql`update ${table} set without_session = true` : sql`delete from ${table}`
  await database.ask((db) => db.execute(sql`${change} where ${unchanged}`))
}

/** @returns where the next part begins */
async function revise(database: Database, after: string): Promise<string> {
  const wrong = sql`
    select p.user_id from (select distinct user_id from part) p
    join lateral (select is_staff or is_superuser as flag from users where id = p.user_id limit 1) u on true
    left join lateral (select privileged, without_session from entra_readings where user_id = p.user_id limit 1) r
      on true
    where r.privileged is distinct from u.flag or r.without_session`
  const lacking = sql`
    select u.id from users u where u.id = any(array(select user_id from wrong))
    and exists (select 1 from identities i where i.user_id = u.id)
    and not exists (select 1 from entra_readings r where r.user_id = u.id) for key share skip locked`
  const flags = sql`
    select id, is_staff or is_superuser as privileged from users
    where id = any(array(select user_id from wrong)) for share skip locked`
  // guard: sync-revised
  const corrected = sql`
    update entra_readings r set without_session = false, privileged = f.privileged from flags f where r.user_id = f.id`
  const { rows: [row] } = await database.ask((db) =>
    db.execute<{ last: string | null, read: number }>(sql`
    with part as materialized (
      select id_hash, user_id from sessions where id_hash > ${`\\x${after}`}::bytea order by id_hash limit ${REVISED}),
    wrong as materialized (${wrong}), lacking as (${lacking}), flags as (${flags}), corrected as (${corrected}),
    added as (
      insert into entra_readings (user_id, group_ids, read_at) select id, '{}', 'epoch' from lacking
      on conflict (user_id) do nothing)
    select max(encode(id_hash, 'hex')) as last, count(*)::int as read from part`)
  )
  return row === undefined || row.last === null || row.read < REVISED ? '' : row.last
}
