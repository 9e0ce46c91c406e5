// Sessions in Postgres. Every time comes from the database's clock; a session is only ever made by a login's
// transaction, so a late touch cannot bring an ended one back.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import {
  sessionIdHash,
  type SessionClient,
  type SessionRecord,
  type SessionStore,
  type SessionTimeouts,
  type SessionUse,
} from '../core/session.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { ago } from './intervals.js'
import { liveMembership, membershipEnd } from './live-membership.js'
import { rowsOfRecord } from './rows-of-record.js'

export interface SessionLimits extends SessionTimeouts {
  /** Active sessions of one user. */
  readonly maxPerUser: number
}

type Row = Record<string, unknown> & {
  public_id: string
  user_id: string
  username: string
  email: string | null
  email_verified: boolean
  name: string | null
  given_name: string | null
  family_name: string | null
  is_staff: boolean
  is_superuser: boolean
  tid: string | null
  oid: string | null
  login_hint: string | null
  groups: string[]
  permissions: string[]
  rights_end_ms: number | null
  auth_time: number
  age_ms: number
  idle_ms: number
}

export function createSessionStore(database: Database, timeouts: SessionTimeouts): SessionStore {
  return {
    async find(id) {
      const [row] = await rowsOfRecord<Row>(database, activeSession(id, timeouts)) // guard: record-session-verified
      return row && record(row, timeouts)
    },
    async touch(uses) {
      const hashes = `{${uses.map(({ hash }) => `"\\\\x${hash}"`).join(',')}}` // one parameter, however many
      const statement = uses.some(({ client }) => client !== undefined)
        ? touchWithClients(hashes, uses)
        : sql`update sessions set last_seen_at = now() where id_hash = any(${hashes}::bytea[])`
      await database.ask((db) => db.execute(statement))
    },
    end: (id, correlationId) => database.transaction((tx) => endSession(tx, id, correlationId)),
    endByEntraSid: (sid, correlationId) => database.transaction((tx) => endByEntraSid(tx, sid, correlationId)),
  }
}

function touchWithClients(hashes: string, uses: readonly SessionUse[]): SQL {
  const each = (read: (client: SessionClient) => string | null) =>
    sql`${sql.param(uses.map(({ client }) => client === undefined ? null : read(client)))}::text[]`
  return sql`
    update sessions s set last_seen_at = now(), browser = coalesce(used.browser, s.browser),
      client_address = coalesce(used.address, s.client_address), last_host = coalesce(used.host, s.last_host)
    from unnest(${hashes}::bytea[], ${each(({ browser }) => browser)}, ${each(({ address }) => address)},
      ${each(({ host }) => host)}) as used (id_hash, browser, address, host)
    where s.id_hash = used.id_hash`
}

async function endSession(tx: Transaction, id: string, correlationId: string): Promise<void> {
  const { rows: [ended] } = await tx.execute<{ public_id: string, user_id: string, username: string }>(sql`
    delete from sessions s using users u where s.id_hash = ${
    sessionIdHash(id)
  } and u.id = s.user_id returning s.public_id, s.user_id, u.username`)
  if (!ended) return
  await writeAudit(tx, {
    action: 'logout',
    actor: 'login',
    userId: ended.user_id,
    username: ended.username,
    correlationId,
    detail: { session: ended.public_id },
  })
}

/** @returns the hashes of the ids of the sessions that ended */
async function endByEntraSid(tx: Transaction, sid: string, correlationId: string): Promise<readonly Buffer[]> {
  const { rows } = await tx.execute<{ id_hash: Buffer, public_id: string, user_id: string, username: string }>(
    // guard: security-front-channel
    sql`
    delete from sessions s using users u where s.entra_sid = ${sid} and u.id = s.user_id returning s.id_hash,
      s.public_id, s.user_id, u.username`,
  )
  for (const ended of rows) {
    await writeAudit(tx, {
      action: 'logout',
      actor: 'entra',
      userId: ended.user_id,
      username: ended.username,
      correlationId,
      detail: { session: ended.public_id, frontChannel: true },
    })
  }
  return rows.map((row) => row.id_hash)
}

const milliseconds = (span: ReturnType<typeof sql>) => sql`(extract(epoch from ${span}) * 1000)::float8`

/** A condition on `sessions s` joined with `users u`: neither idle too long nor too old, and the user is active. */
export function stillActive({ idleTimeoutMs, absoluteTimeoutMs, privilegedTimeoutMs }: SessionTimeouts): SQL {
  const privilegedMs = Math.min(privilegedTimeoutMs ?? absoluteTimeoutMs, absoluteTimeoutMs)
  // guard: session-age
  return sql`u.is_active and s.last_seen_at > ${ago(idleTimeoutMs)}
    and s.created_at > case when u.is_staff or u.is_superuser then ${ago(privilegedMs)} else ${
    ago(absoluteTimeoutMs)
  } end`
}

function activeSession(id: string, timeouts: SessionTimeouts): SQL {
  return sql`
    select s.public_id, u.id as user_id, u.username, u.email, u.email_verified, u.name, u.given_name, u.family_name,
      u.is_staff, u.is_superuser, i.tid, i.oid, i.login_hint,
      extract(epoch from s.created_at)::float8 as auth_time,
      ${milliseconds(sql`now() - s.created_at`)} as age_ms, ${milliseconds(sql`now() - s.last_seen_at`)} as idle_ms,
      coalesce((select array_agg(g.name order by g.name) from user_groups ug join groups g on g.id = ug.group_id
        where ug.user_id = u.id and ${liveMembership('ug')}), '{}') as groups,
      coalesce((select array_agg(distinct gp.permission order by gp.permission) from user_groups ug
        join group_permissions gp on gp.group_id = ug.group_id
        where ug.user_id = u.id and ${liveMembership('ug')}), '{}') as permissions,
      ${
    milliseconds(sql`(select min(${membershipEnd('ug')}) from user_groups ug
        where ug.user_id = u.id and ${liveMembership('ug')}) - statement_timestamp()`)
  } as rights_end_ms
    from sessions s join users u on u.id = s.user_id
    left join lateral (select tid, oid, login_hint from identities where user_id = u.id order by created_at limit 1) i
      on true
    where s.id_hash = ${sessionIdHash(id)} and ${stillActive(timeouts)}`
}

function record(row: Row, { idleTimeoutMs, absoluteTimeoutMs, privilegedTimeoutMs }: SessionTimeouts): SessionRecord {
  const lifeMs = row.is_staff || row.is_superuser
    ? Math.min(privilegedTimeoutMs ?? absoluteTimeoutMs, absoluteTimeoutMs)
    : absoluteTimeoutMs
  const leftMs = Math.min(lifeMs - row.age_ms, idleTimeoutMs - row.idle_ms)
  if (!Number.isFinite(row.age_ms) || !Number.isFinite(row.idle_ms)) {
    throw new GatehouseError('session_unreadable', {
      detail: `the row of session ${row.public_id} is corrupt`,
      remedy: `gatehouse sessions revoke ${row.public_id}`,
    })
  }
  return {
    publicId: row.public_id,
    userId: row.user_id,
    username: row.username,
    email: row.email,
    emailVerified: row.email_verified,
    name: row.name,
    givenName: row.given_name,
    familyName: row.family_name,
    isStaff: row.is_staff,
    isSuperuser: row.is_superuser,
    tid: row.tid,
    oid: row.oid,
    loginHint: row.login_hint,
    groups: row.groups,
    permissions: row.permissions,
    authTime: Math.floor(row.auth_time),
    expiresAt: Math.floor(row.auth_time + (row.age_ms + leftMs) / 1000),
    expiresInMs: leftMs,
    rightsEndInMs: row.rights_end_ms,
    idleMs: row.idle_ms,
  }
}

/**
 * @param which condition on the table `sessions`: all of the user's without it
 * @returns public ids of those that ended
 */
export async function endSessionsOf(tx: Transaction, userId: string, which = sql`true`): Promise<string[]> {
  const { rows } = await tx.execute<{ public_id: string }>(
    sql`delete from sessions where user_id = ${userId} and ${which} returning public_id`,
  )
  return rows.map((row) => row.public_id)
}
