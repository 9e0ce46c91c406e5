// Active sessions as administrators see and end them: by public id, by person, or all.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import type { SessionTimeouts } from '../core/session.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { PAGE_ROWS, pageOf, type Page, type PageRequest } from '../core/page.js'
import { stillActive } from './sessions.js'

export interface SessionView extends Record<string, unknown> {
  readonly id: string
  readonly username: string
  readonly createdAt: string
  readonly lastSeenAt: string
  /** Of the last use that was recorded; null: not known, or session.recordClient is not set. */
  readonly browser: string | null
  readonly address: string | null
  readonly host: string | null
}

/** A row of a page: the next one begins after it. */
export type SessionCursor = Pick<SessionView, 'id' | 'createdAt'>

export interface SessionAdmin {
  /** Newest first. */
  list(
    request: { readonly userId?: string | undefined } & PageRequest<SessionCursor>,
  ): Promise<Page<SessionView, SessionCursor>>
  /** @throws `session_unknown` */
  revoke(publicId: string, actor: string): Promise<void>
  /** @returns how many ended */
  revokeAll(filter: { readonly userId?: string | undefined }, actor: string): Promise<number>
}

export function createSessionAdmin(database: Database, timeouts: SessionTimeouts): SessionAdmin {
  return {
    async list({ userId, after, limit = PAGE_ROWS }) {
      const { rows } = await database.ask((db) =>
        db.execute<SessionView>(sql`
        select s.public_id as id, u.username, to_json(s.created_at) #>> '{}' as "createdAt", to_json(s.last_seen_at)
          #>> '{}' as "lastSeenAt", s.browser, s.client_address as address, s.last_host as host
        from sessions s join users u on u.id = s.user_id
        where ${ofUser(userId)} and ${earlier(after)} and ${stillActive(timeouts)}
        order by s.created_at desc, s.public_id desc limit ${limit + 1}`)
      )
      return pageOf(rows, limit, ({ id, createdAt }) => ({ id, createdAt }))
    },
    revoke: (publicId, actor) => database.transaction((tx) => revokeSession(tx, publicId, actor)),
    revokeAll: ({ userId }, actor) => database.transaction((tx) => revokeSessions(tx, userId, actor)),
  }
}

function earlier(after: SessionCursor | undefined): SQL {
  if (after === undefined) return sql`true`
  return sql`(s.created_at, s.public_id) < (${after.createdAt}::timestamptz, ${after.id})`
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
