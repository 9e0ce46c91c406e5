// What was heard too long ago is not believed: flags and sessions of whoever was asked about in vain since, or of whom
// nobody asks.
// Every replica may do it, at the same time as the others and as a sign-in of the same person.
import { sql, type SQL } from 'drizzle-orm'
import type { Staleness, SyncPerson, SyncStore } from '../core/reevaluation.js'
import type { Database, Transaction } from './database.js'
import { ago, auditSync, MOST, span, type SyncPersonRow } from './due-users.js'

type Dropped = SyncPersonRow & { readonly readAt: string | null }

/** @param people those with live sessions (withLiveSessions) */
export async function expireStale(
  database: Database,
  people: SQL,
  { privilegedMs, maxMs, unaskedMs }: Staleness,
): ReturnType<SyncStore['expire']> {
  const privileged = sql`${
    stale(privilegedMs, unaskedMs)
  } and exists (select 1 from users f where f.id = live.user_id and (f.is_staff or f.is_superuser))`
  return {
    privileges: await inPortions(database, people, privileged, dropPrivileges),
    sessions: maxMs === undefined ? [] : await inPortions(database, people, stale(maxMs, unaskedMs), dropSessions),
  }
}

/**
 * Of a row `live`: asked about in vain since it became too old, or too old for longer than anybody may be left unasked.
 */
function stale(ms: number, unaskedMs: number | undefined): SQL {
  const readAt = sql`coalesce(live.read_at, '-infinity')`
  return sql`${readAt} < ${ago(ms)} and (live.tried_at >= ${readAt} + ${span(ms)}${
    unaskedMs === undefined ? sql`` : sql` or ${readAt} < ${ago(ms + unaskedMs)}`
  })`
}

async function inPortions<Person extends SyncPerson>(
  database: Database,
  people: SQL,
  which: SQL,
  drop: (tx: Transaction, live: SQL, which: SQL) => Promise<Person[]>,
): Promise<Person[]> {
  const all: Person[] = []
  for (;;) {
    const portion = await database.transaction(async (tx) => {
      // Locked first and judged afterwards: a sign-in that was about to commit is seen. Whom others have locked is left
      // for the next time.
      const { rows } = await tx.execute<{ user_id: string }>(sql`
        with live as (${people}) select l.id as user_id from users l where l.id in (select user_id from live where
          ${which} limit ${MOST}) for update skip locked`)
      if (rows.length === 0) return []
      const locked = sql.param(rows.map((row) => row.user_id))
      return await drop(tx, sql`select * from (${people}) everybody where user_id = any(${locked}::uuid[])`, which)
    })
    all.push(...portion)
    if (portion.length < MOST) return all
  }
}

async function dropPrivileges(tx: Transaction, people: SQL, which: SQL): Promise<SyncPerson[]> {
  const { rows } = await tx.execute<Dropped & { readonly staff: boolean, readonly superuser: boolean }>(sql`
    with live as (${people}),
    stale as (select live.*, b.is_staff, b.is_superuser from live join users b on b.id = live.user_id where ${which})
    update users u set is_staff = false, staff_cause = null, staff_since = null, is_superuser = false, superuser_cause
      = null, superuser_since = null
    from stale where stale.user_id = u.id
    returning u.id as "userId", u.username, stale.oid::text as oid, to_json(stale.read_at) #>> '{}' as "readAt",
      stale.is_staff as staff, stale.is_superuser as superuser`)
  for (const { readAt, staff, superuser, ...person } of rows) {
    await auditSync(tx, 'reevaluation.stale_privileges', person, undefined, {
      oid: person.oid,
      readAt,
      before: { staff, superuser },
    })
  }
  return rows
}

async function dropSessions(
  tx: Transaction,
  people: SQL,
  which: SQL,
): Promise<(SyncPerson & { readonly sessions: readonly string[] })[]> {
  const { rows } = await tx.execute<Dropped & { readonly sessions: string[] }>(sql`
    with live as (${people}),
    stale as (select * from live where ${which}),
    ended as (delete from sessions s using stale where s.user_id = stale.user_id returning s.user_id, s.public_id)
    select stale.user_id as "userId", stale.username, stale.oid::text as oid, to_json(stale.read_at) #>> '{}' as
      "readAt", array_agg(ended.public_id) as sessions
    from ended join stale using (user_id) group by 1, 2, 3, 4`)
  for (const { readAt, sessions, ...person } of rows) {
    await auditSync(tx, 'reevaluation.stale_session', person, undefined, { oid: person.oid, readAt, sessions })
  }
  return rows
}
