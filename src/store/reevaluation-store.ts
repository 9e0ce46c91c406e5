// The store's side of the re-evaluation: whose turn it is, and what an answer does, each in one transaction. Only
// people of the configured tenant with a live session are asked about; what is too old is taken from everybody
// (sync-expiry.ts).
import { sql, type SQL } from 'drizzle-orm'
import type { SyncChange, SyncPerson, SyncReading, SyncStore } from '../core/reevaluation.js'
import { FOREIGN_KEY_VIOLATION, sqlState, type Database, type Transaction } from './database.js'
import { replaceGrants, type GrantChange } from './grants.js'
import { expireStale } from './staleness-expiry.js'
import {
  ago,
  auditSync as audit,
  MOST,
  recordUpn,
  span,
  withLiveSessions,
  type SyncPersonRow,
  type SyncStoreOptions,
} from './due-users.js'

/**
 * Two answers "no such account" this far apart: one alone may be a replica of Graph that lags (core/reevaluation.ts).
 */
const MISSING_FOR_MS = 60_000

export function createSyncStore(database: Database, options: SyncStoreOptions): SyncStore {
  const people = withLiveSessions(options)
  return {
    async now() {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ now: string }>(sql`select clock_timestamp()::text as now`)
      )
      return row?.now ?? ''
    },
    async due({ spanMs, everyMs, staleMs, late }) {
      // Whoever failed waits as long as they have been due, so that one failure costs one turn and many cost Graph
      // little.
      const wait = sql`case when missing_since > coalesce(read_at, '-infinity') then ${
        span(Math.min(MISSING_FOR_MS, spanMs))
      }
        when tried_at > read_at then least(${span(spanMs)}, greatest(${span(everyMs)}, tried_at - read_at - ${
        span(spanMs)
      })) else ${span(spanMs)} end`
      const lastChance = sql.join(
        staleMs.map((ms) => sql` or (read_at < ${ago(ms)} and tried_at < read_at + ${span(ms)})`),
      )
      // By chance among those who were asked together: one whom Graph cannot answer about is not always with the same
      // nine.
      const { rows } = await database.ask((db) =>
        db.execute<SyncPersonRow>(sql`
        with live as (select * from (${people}) everybody where ours),
        ranked as (select *, row_number() over (order by last_at nulls first, random()) as place, count(*) over () as
          total from live)
        select user_id as "userId", username, oid::text as oid from ranked
        where place <= ${
          late ? 0 : everyMs
        }::float8 * total / ${spanMs}::float8 or last_at is null or last_at < now() - ${wait}${lastChance}
        order by place limit ${MOST}`)
      )
      return rows
    },
    async apply(person, reading, standing) {
      try {
        return await database.transaction((tx) => apply(tx, person, reading, standing))
      } catch (error) {
        if (sqlState(error) === FOREIGN_KEY_VIOLATION) return 'outdated'
        throw error
      }
    },
    disabled: (person, reading) =>
      database.transaction(async (tx) => {
        const { rowCount } = await tx.execute(sql`select 1 from users where id = ${person.userId} for update`)
        if (rowCount === 0 || await superseded(tx, person, reading)) return undefined
        const ended = await endSessions(tx, person, sql`created_at <= ${reading.readAt}::timestamptz`)
        if (ended.length > 0) {
          await audit(tx, 'reevaluation.disabled', person, reading.correlationId, { oid: person.oid, sessions: ended })
        }
        await tried(tx, [person.userId])
        return ended
      }),
    missing: (person, reading) =>
      database.transaction(async (tx) => {
        if (await superseded(tx, person, reading)) return undefined
        const { rows: [row] } = await tx.execute<{ confirmed: boolean }>(sql`
        insert into entra_checks as c (user_id, tried_at, missing_since) select u.id, now(),
          ${reading.readAt}::timestamptz from users u where u.id = ${person.userId} for key share
        on conflict (user_id) do update set tried_at = now(), missing_since =
          case when c.missing_since > coalesce((select read_at from entra_readings where user_id = c.user_id),
            '-infinity') then c.missing_since else excluded.missing_since end
        returning c.missing_since <= ${reading.readAt}::timestamptz - ${span(MISSING_FOR_MS)} as confirmed`)
        if (!row?.confirmed) return undefined
        const ended = await endSessions(tx, person, sql`created_at <= ${reading.readAt}::timestamptz`)
        if (ended.length > 0) {
          await audit(tx, 'reevaluation.deleted', person, reading.correlationId, { oid: person.oid, sessions: ended })
        }
        return ended
      }),
    async failed(failing) {
      await database.ask((db) => tried(db, failing.map(({ userId }) => userId)))
    },
    expire: (staleness) => expireStale(database, people, staleness),
    async overview() {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ lag: number | null, unanswered: number }>(sql`
        with live as (${people}) select (extract(epoch from now() - min(coalesce(read_at, 'epoch'))) * 1000)::float8 as
          lag,
          (count(*) filter (where ours and tried_at > coalesce(read_at, '-infinity') and (missing_since >
            coalesce(read_at, '-infinity')) is not true))::int as unanswered
        from live`)
      )
      return { lagMs: row?.lag ?? 0, unanswered: row?.unanswered ?? 0 }
    },
  }
}

async function apply(
  tx: Transaction,
  person: SyncPerson,
  reading: SyncReading,
  standing: Standing,
): Promise<SyncChange | undefined> {
  const { rows: [before] } = await tx.execute<{ staff: boolean, superuser: boolean, lost: string[] | null }>(sql`
    select is_staff as staff, is_superuser as superuser, (${lostSinceSignIn(standing.groupIds)}) as lost
    from users u where id = ${person.userId} for update`)
  if (!before) return undefined
  const change = await replaceGrants(tx, {
    userId: person.userId,
    grants: standing.grants,
    groupIds: standing.groupIds,
    readAt: reading.readAt,
  })
  if (!change.superseded) {
    await tx.execute(sql`delete from entra_checks where user_id = ${person.userId}`)
    if (standing.upn !== undefined) await recordUpn(tx, person, standing.upn)
  }
  const revoked = standing.sessionsValidFrom === null
    ? []
    : await endSessions(
      tx,
      person,
      sql`coalesce(token_issued_at, created_at) < ${standing.sessionsValidFrom}::timestamptz`,
    )
  const refused = standing.requireMappedGroup && change.groups.length === 0 && !change.staff && !change.superuser
  const ended = refused ? await endSessions(tx, person, sql`true`) : []
  const flagsChanged = change.staff !== before.staff || change.superuser !== before.superuser
  await record(tx, person, reading, { change, flagsChanged, before, standing, revoked, ended })
  const lost = change.superseded ? [] : before.lost ?? []
  return { ...change, flagsChanged, revoked, lostSinceSignIn: lost, refused: refused ? ended : undefined }
}

/**
 * What the last reading has and this one has not, where that one was a sign-in's: a session began within two minutes of
 * it.
 * To be run before the reading is replaced.
 */
function lostSinceSignIn(groupIds: readonly string[]): SQL {
  return sql`
    select array(select unnest(r.group_ids)::text except select unnest(${sql.param([...groupIds])}::uuid[])::text)
    from entra_readings r where r.user_id = u.id and r.read_at > now() - interval '30 minutes'
      and exists (select 1 from sessions s where s.user_id = u.id
        and s.created_at >= r.read_at and s.created_at < r.read_at + interval '2 minutes')`
}

/** Somebody signed in meanwhile, or another replica asked. */
async function superseded(tx: Transaction, { userId }: SyncPerson, { readAt }: SyncReading): Promise<boolean> {
  const { rowCount } = await tx.execute(
    sql`select 1 from entra_readings where user_id = ${userId} and read_at > ${readAt}::timestamptz`,
  )
  return (rowCount ?? 0) > 0
}

/** Whom somebody else has locked is left out: it is no reason to wait, and they are asked again all the sooner. */
async function tried(tx: Transaction, userIds: readonly string[]): Promise<void> {
  await tx.execute(sql`
    insert into entra_checks (user_id, tried_at) select u.id, now() from users u where u.id = any(${
    sql.param([...userIds])
  }::uuid[]) for key share skip locked
    on conflict (user_id) do update set tried_at = excluded.tried_at`)
}

async function endSessions(tx: Transaction, { userId }: SyncPerson, which: SQL): Promise<string[]> {
  const { rows } = await tx.execute<{ public_id: string }>(
    sql`delete from sessions where user_id = ${userId} and ${which} returning public_id`,
  )
  return rows.map((row) => row.public_id)
}

type Standing = Parameters<SyncStore['apply']>[2]

interface Applied {
  readonly change: GrantChange
  readonly flagsChanged: boolean
  readonly before: { readonly staff: boolean, readonly superuser: boolean }
  readonly standing: Standing
  readonly revoked: readonly string[]
  readonly ended: readonly string[]
}

/** A reading that changes nothing leaves no row: there is one every few minutes for everybody. */
async function record(
  tx: Transaction,
  person: SyncPerson,
  { correlationId }: SyncReading,
  { change, flagsChanged, before, standing: { grants, groupIds, sessionsValidFrom }, revoked, ended }: Applied,
): Promise<void> {
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
  if (revoked.length > 0) {
    await audit(tx, 'reevaluation.revoked', person, correlationId, {
      oid: person.oid,
      sessions: revoked,
      sessionsValidFrom,
    })
  }
  if (ended.length > 0) {
    await audit(tx, 'reevaluation.refused', person, correlationId, { oid: person.oid, sessions: ended })
  }
}
