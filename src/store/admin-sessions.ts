// Sessions of the admin console in Postgres. Each is read together with the session and the user it belongs to, in one
// statement: what has ended there has ended here, with no copy and no grace.
import { sql, type SQL } from 'drizzle-orm'
import { adminPermissions } from '../core/admin-permissions.js'
import {
  ADMIN_IDLE_MS,
  ADMIN_LIFETIME_MS,
  type AdminSessionRecord,
  type AdminSessionStore,
  type NewAdminSession,
} from '../core/admin-session.js'
import { sessionIdHash, type SessionTimeouts } from '../core/session.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { ago } from './intervals.js'
import { liveMembership } from './live-membership.js'
import { rowsOfRecord } from './rows-of-record.js'
import { stillActive } from './sessions.js'

const USE_RECORDED_AFTER_MS = 60_000

type Row = Record<string, unknown> & AdminSessionRecord

export function createAdminSessionStore(database: Database, timeouts: SessionTimeouts): AdminSessionStore {
  return {
    async find(id) {
      const having = activeAdminSession(id, timeouts)
      // guard: record-admin-session-verified
      const [row] = await rowsOfRecord<Row>(database, sql`select * from opened`, { having })
      return row && record(row)
    },
    begin: (session) => database.transaction((tx) => begin(tx, session, timeouts)),
    end: (sessionId, correlationId) => database.transaction((tx) => end(tx, sessionId, correlationId)),
  }
}

type Rights = Record<string, unknown> & Pick<AdminSessionRecord, 'isStaff' | 'isSuperuser' | 'permissions'>

/** Of `users u`. */
export const adminRights = sql`u.is_staff as "isStaff", u.is_superuser as "isSuperuser",
  coalesce((select array_agg(distinct gp.permission order by gp.permission) from user_groups ug
    join group_permissions gp on gp.group_id = ug.group_id
    where ug.user_id = u.id and ${liveMembership('ug')} and gp.permission like 'gatehouse.%'), '{}') as permissions`

/** Conditions on `admin_sessions a`. */
const recentlyUsed = sql`a.last_seen_at > ${ago(ADMIN_IDLE_MS)}` // guard: admin-idle
const young = sql`a.created_at > ${ago(ADMIN_LIFETIME_MS)}` // guard: admin-lifetime
export const stillOpen = sql`${recentlyUsed} and ${young}`

/** A use of the console is a use of the session too: it would otherwise be over while its user works here. */
function activeAdminSession(id: string, timeouts: SessionTimeouts): SQL {
  return sql`
    opened as (
      select a.id, a.session_id as "sessionId", u.id as "userId", u.username, u.name, ${adminRights},
        extract(epoch from a.authenticated_at)::float8 as "authenticatedAt", a.acrs,
        (select i.login_hint from identities i where i.user_id = u.id order by i.created_at limit 1) as "loginHint",
        a.last_seen_at < ${ago(USE_RECORDED_AFTER_MS)} as due
      from admin_sessions a join sessions s on s.public_id = a.session_id join users u on u.id = s.user_id
      where a.id_hash = ${sessionIdHash(id)} and ${stillOpen} and ${stillActive(timeouts)}),
    used as (update admin_sessions set last_seen_at = now() from opened
      where opened.due and admin_sessions.id = opened.id),
    used_session as (update sessions set last_seen_at = now() from opened
      where opened.due and sessions.public_id = opened."sessionId")`
}

function record(row: Row): AdminSessionRecord {
  const { id, sessionId, userId, username, name, loginHint, isStaff, isSuperuser, permissions, acrs } = row
  const authenticatedAt = Math.floor(row.authenticatedAt)
  return { id, sessionId, userId, username, name, loginHint, isStaff, isSuperuser, permissions, authenticatedAt, acrs }
}

/** Another tab may have replaced the id meanwhile: each of them then has an admin session of its own. */
async function begin(
  tx: Transaction,
  { id, sessionId, replaces, acrs }: NewAdminSession,
  timeouts: SessionTimeouts,
): Promise<boolean> {
  const idHash = sessionIdHash(id)
  const { rows: [session] } = await tx.execute<Rights & { at: string }>(sql`
    select s.authenticated_at::text as at, ${adminRights} from sessions s join users u on u.id = s.user_id
    where s.public_id = ${sessionId} and s.authenticated_at is not null and ${stillActive(timeouts)} for share of s`)
  if (!session || adminPermissions(session).size === 0) return false // guard: admin-session-for-nobody
  const context = sql`acrs = ${acrs ?? null}` // guard: admin-acrs-renewed
  const { rowCount } = await tx.execute(sql`
    update admin_sessions a set id_hash = ${idHash}, last_seen_at = now(),
      authenticated_at = ${session.at}::timestamptz, ${context}
    where a.id_hash = ${replaces ?? null} and ${ofSession(sessionId)} and ${stillOpen}`) // guard: admin-renewed
  if (rowCount === 1) return true
  await tx.execute(sql`insert into admin_sessions (id_hash, session_id, authenticated_at, acrs)
    values (${idHash}, ${sessionId}, ${session.at}::timestamptz, ${acrs ?? null})`)
  return true
}

function ofSession(sessionId: string): SQL {
  return sql`a.session_id = ${sessionId}` // guard: admin-renewed-session
}

async function end(tx: Transaction, sessionId: string, correlationId: string): Promise<void> {
  const { rowCount } = await tx.execute(sql`delete from admin_sessions where session_id = ${sessionId}`)
  if (rowCount === 0) return
  const { rows: [user] } = await tx.execute<{ id: string, username: string }>(sql`
    select u.id, u.username from sessions s join users u on u.id = s.user_id where s.public_id = ${sessionId}`)
  await writeAudit(tx, {
    action: 'admin.sign_out',
    actor: 'login',
    ...(user ? { userId: user.id, username: user.username } : {}),
    correlationId,
    detail: { session: sessionId },
  })
}
