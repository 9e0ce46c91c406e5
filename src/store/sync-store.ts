// The store's side of the re-evaluation: whose turn it is, and what an answer does, each in one transaction. Only people of the
// configured tenant with a live session are looked at; users without an Entra identity are never touched.
import { sql, type SQL } from 'drizzle-orm'
import type { SyncChange, SyncPerson, SyncReading, SyncStore } from '../core/reevaluation.js'
import type { SessionTimeouts } from '../core/session.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { replaceGrants, type GrantChange } from './grants.js'
import { stillLive } from './sessions.js'

export interface SyncStoreOptions extends SessionTimeouts { readonly tenantId: string }

/** Two answers "no such account" this far apart: one alone may be a replica of Graph that lags (core/reevaluation.ts). */
const MISSING_FOR_MS = 60_000
/** People in one go. */
const MOST_DUE = 2_000
const ACTOR = 'sync'

export function createSyncStore(database: Database, options: SyncStoreOptions): SyncStore {
  const people = withLiveSessions(options)
  return {
    async now() {
      const { rows: [row] } = await database.ask((db) => db.execute<{ now: string }>(sql`select clock_timestamp()::text as now`))
      return row?.now ?? ''
    },
    async due({ spanMs, everyMs }) {
      const { rows } = await database.ask((db) => db.execute<Record<string, unknown> & SyncPerson>(sql`
        with live as (${people}),
        ranked as (select *, row_number() over (order by last_at nulls first, user_id) as place, count(*) over () as total from live)
        select user_id as "userId", username, oid::text as oid from ranked
        where place <= floor(total * ${everyMs}::float8 / ${spanMs}::float8) or last_at is null or last_at < ${ago(spanMs)}
          or (missing_since > coalesce(read_at, '-infinity') and last_at < ${ago(MISSING_FOR_MS)})
        order by last_at nulls first, user_id limit ${MOST_DUE}`))
      return rows
    },
    apply: (person, reading, standing) => database.transaction(async (tx) => {
      const { rows: [before] } = await tx.execute<{ staff: boolean, superuser: boolean }>(sql`
        select is_staff as staff, is_superuser as superuser from users where id = ${person.userId} for update`)
      if (!before) return undefined
      const change = await replaceGrants(tx, { userId: person.userId, grants: standing.grants, groupIds: standing.groupIds, readAt: reading.readAt })
      await tx.execute(sql`delete from entra_checks where user_id = ${person.userId}`)
      const revoked = standing.sessionsValidFrom === null ? [] : await endSessions(tx, person, sql`coalesce(token_issued_at, created_at) < ${standing.sessionsValidFrom}::timestamptz`)
      const refused = standing.requireMappedGroup && change.groups.length === 0 && !change.staff && !change.superuser
      const ended = refused ? await endSessions(tx, person, sql`true`) : []
      const flagsChanged = change.staff !== before.staff || change.superuser !== before.superuser
      await record(tx, person, reading, { change, flagsChanged, before, standing, revoked, ended })
      return { ...change, flagsChanged, revoked, refused } satisfies SyncChange
    }),
    disabled: (person, reading) => database.transaction(async (tx) => {
      const ended = await endSessions(tx, person, sql`created_at <= ${reading.readAt}::timestamptz`)
      if (ended.length > 0) await audit(tx, 'reevaluation.disabled', person, reading.correlationId, { oid: person.oid, sessions: ended })
      await tried(tx, [person.userId])
      return ended
    }),
    missing: (person, reading) => database.transaction(async (tx) => {
      const { rows: [row] } = await tx.execute<{ confirmed: boolean }>(sql`
        insert into entra_checks as c (user_id, tried_at, missing_since) values (${person.userId}, now(), ${reading.readAt}::timestamptz)
        on conflict (user_id) do update set tried_at = now(), missing_since =
          case when c.missing_since > coalesce((select read_at from entra_readings where user_id = c.user_id), '-infinity') then c.missing_since else excluded.missing_since end
        returning c.missing_since <= ${reading.readAt}::timestamptz - ${MISSING_FOR_MS}::float8 * interval '1 millisecond' as confirmed`)
      if (!row?.confirmed) return undefined
      const ended = await endSessions(tx, person, sql`created_at <= ${reading.readAt}::timestamptz`)
      if (ended.length > 0) await audit(tx, 'reevaluation.deleted', person, reading.correlationId, { oid: person.oid, sessions: ended })
      return ended
    }),
    async failed(failing) {
      await database.ask((db) => tried(db, failing.map(({ userId }) => userId)))
    },
    expire: ({ privilegedMs, maxMs }) => database.transaction(async (tx) => ({
      privileges: await dropPrivileges(tx, people, privilegedMs),
      sessions: maxMs === undefined ? [] : await dropSessions(tx, people, maxMs),
    })),
    async lagMs() {
      const { rows: [row] } = await database.ask((db) => db.execute<{ lag: number | null }>(sql`
        with live as (${people}) select (extract(epoch from now() - min(coalesce(read_at, '-infinity'))) * 1000)::float8 as lag from live`))
      return row?.lag ?? 0
    },
  }
}

const ago = (ms: number): SQL => sql`now() - ${ms}::float8 * interval '1 millisecond'`

/** Everybody a re-evaluation is about. `last_at`: when Graph was last asked about them, with or without an answer. */
function withLiveSessions(options: SyncStoreOptions): SQL {
  return sql`
    select u.id as user_id, u.username, i.oid, r.read_at, c.missing_since, greatest(r.read_at, c.tried_at) as last_at
    from users u join identities i on i.user_id = u.id and i.tid = ${options.tenantId}
    left join entra_readings r on r.user_id = u.id left join entra_checks c on c.user_id = u.id
    where exists (select 1 from sessions s where s.user_id = u.id and ${stillLive(options)})`
}

async function tried(tx: Transaction, userIds: readonly string[]): Promise<void> {
  await tx.execute(sql`
    insert into entra_checks (user_id, tried_at) select u.id, now() from users u where u.id = any(${sql.param([...userIds])}::uuid[])
    on conflict (user_id) do update set tried_at = excluded.tried_at`)
}

async function endSessions(tx: Transaction, { userId }: SyncPerson, which: SQL): Promise<string[]> {
  const { rows } = await tx.execute<{ public_id: string }>(sql`delete from sessions where user_id = ${userId} and ${which} returning public_id`)
  return rows.map((row) => row.public_id)
}

async function audit(tx: Transaction, action: string, { userId, username }: SyncPerson, correlationId: string | undefined, detail: Readonly<Record<string, unknown>>): Promise<void> {
  await writeAudit(tx, { action, actor: ACTOR, userId, username, ...(correlationId === undefined ? {} : { correlationId }), detail })
}

interface Applied {
  readonly change: GrantChange
  readonly flagsChanged: boolean
  readonly before: { readonly staff: boolean, readonly superuser: boolean }
  readonly standing: Parameters<SyncStore['apply']>[2]
  readonly revoked: readonly string[]
  readonly ended: readonly string[]
}

/** A reading that changes nothing leaves no row: there is one every few minutes for everybody. */
async function record(tx: Transaction, person: SyncPerson, { correlationId }: SyncReading, { change, flagsChanged, before, standing: { grants, groupIds, sessionsValidFrom }, revoked, ended }: Applied): Promise<void> {
  if (change.groupsAdded.length + change.groupsRemoved.length > 0 || flagsChanged) {
    await audit(tx, 'reevaluation', person, correlationId, {
      oid: person.oid,
      entraGroups: groupIds.length,
      groupsAdded: change.groupsAdded,
      groupsRemoved: change.groupsRemoved,
      groups: Object.fromEntries(grants.groups.map((group) => [group.name, group.causes])),
      missing: grants.missing,
      staff: grants.staff,
      superuser: grants.superuser,
      before,
    })
  }
  if (revoked.length > 0) await audit(tx, 'reevaluation.revoked', person, correlationId, { oid: person.oid, sessions: revoked, sessionsValidFrom })
  if (ended.length > 0) await audit(tx, 'reevaluation.refused', person, correlationId, { oid: person.oid, sessions: ended })
}

async function dropPrivileges(tx: Transaction, people: SQL, ms: number): Promise<SyncPerson[]> {
  const { rows } = await tx.execute<Record<string, unknown> & SyncPerson & { readonly readAt: string | null, readonly staff: boolean, readonly superuser: boolean }>(sql`
    with live as (${people}),
    stale as (select l.*, b.is_staff, b.is_superuser from live l join users b on b.id = l.user_id
      where (b.is_staff or b.is_superuser) and coalesce(l.read_at, '-infinity') < ${ago(ms)} for update of b)
    update users u set is_staff = false, staff_cause = null, staff_since = null, is_superuser = false, superuser_cause = null, superuser_since = null
    from stale where stale.user_id = u.id
    returning u.id as "userId", u.username, stale.oid::text as oid, to_json(stale.read_at) #>> '{}' as "readAt", stale.is_staff as staff, stale.is_superuser as superuser`)
  for (const { readAt, staff, superuser, ...person } of rows) await audit(tx, 'reevaluation.stale_privileges', person, undefined, { oid: person.oid, readAt, before: { staff, superuser } })
  return rows
}

async function dropSessions(tx: Transaction, people: SQL, ms: number): Promise<SyncPerson[]> {
  const { rows } = await tx.execute<Record<string, unknown> & SyncPerson & { readonly readAt: string | null, readonly sessions: string[] }>(sql`
    with live as (${people}),
    stale as (select * from live where coalesce(read_at, '-infinity') < ${ago(ms)}),
    ended as (delete from sessions s using stale where s.user_id = stale.user_id returning s.user_id, s.public_id)
    select stale.user_id as "userId", stale.username, stale.oid::text as oid, to_json(stale.read_at) #>> '{}' as "readAt", array_agg(ended.public_id) as sessions
    from ended join stale using (user_id) group by 1, 2, 3, 4`)
  for (const { readAt, sessions, ...person } of rows) await audit(tx, 'reevaluation.stale_session', person, undefined, { oid: person.oid, readAt, sessions })
  return rows
}
