// Active sessions as administrators see and end them: by public id, by person, or all.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import type { SessionTimeouts } from '../core/session.js'
import type { SessionsList } from '../core/sessions-list.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { createSessionsList } from './sessions-list.js'

export interface SessionAdmin extends SessionsList {
  /** @throws `session_unknown` */
  revoke(publicId: string, actor: string): Promise<void>
  /** @returns how many ended */
  revokeAll(filter: { readonly userId?: string | undefined }, actor: string): Promise<number>
}

export function createSessionAdmin(database: Database, timeouts: SessionTimeouts): SessionAdmin {
  return {
    ...createSessionsList(database, timeouts),
    revoke: (publicId, actor) => database.transaction((tx) => revokeSession(tx, publicId, actor)),
    revokeAll: ({ userId }, actor) => database.transaction((tx) => revokeSessions(tx, userId, actor)),
  }
}

function ofUser(userId: string | undefined): SQL {
  return userId === undefined ? sql`true` : sql`s.user_id = ${userId}`
}

async function revokeSession(tx: Transaction, publicId: string, actor: string): Promise<void> {
  const { rows: [ended] } = await tx.execute<{ user_id: string, username: string }>(sql`
    delete from sessions s using users u where u.id = s.user_id and s.public_id = ${publicId} returning s.user_id,
      u.username`)
  if (!ended) {
    throw new GatehouseError('session_unknown', {
      detail: `there is no session ${publicId}`,
      remedy: 'gatehouse sessions list shows them; it may have ended already.',
    })
  }
  await writeAudit(tx, {
    action: 'session.revoke',
    actor,
    userId: ended.user_id,
    username: ended.username,
    detail: { session: publicId },
  })
}

/** One statement: all sessions end together when it commits. */
async function revokeSessions(tx: Transaction, userId: string | undefined, actor: string): Promise<number> {
  // guard: sessions-ended-by-hand
  const { rows: [row] } = await tx.execute<{ ended: number }>(sql`
    with ended as (delete from sessions s where ${ofUser(userId)} returning s.user_id, s.public_id),
    recorded as (insert into audit_events (action, actor, user_id, username, detail)
      select 'session.revoke', ${actor}, e.user_id, u.username, jsonb_build_object('sessions',
        jsonb_agg(e.public_id))
      from ended e join users u on u.id = e.user_id group by e.user_id, u.username)
    select count(*)::int as ended from ended`)
  return row?.ended ?? 0
}
