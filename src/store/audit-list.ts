// The record, read back: newest first.
import { sql } from 'drizzle-orm'
import type { Database } from './database.js'

export interface AuditView extends Record<string, unknown> {
  readonly at: string
  readonly action: string
  readonly actor: string
  readonly username: string | null
  readonly correlationId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

export interface AuditFilter {
  readonly userId?: string | undefined
  /** Not before this instant. */
  readonly since?: Date | undefined
  /** An action, or the words it begins with: `group` finds `group.add`. */
  readonly action?: string | undefined
  readonly limit: number
}

export async function listAudit(
  database: Database,
  { userId, since, action, limit }: AuditFilter,
): Promise<readonly AuditView[]> {
  const { rows } = await database.ask((db) =>
    db.execute<AuditView>(sql`
    select to_json(at) #>> '{}' as at, action, actor, username, correlation_id as "correlationId", detail from
      audit_events
    where (${userId ?? null}::uuid is null or user_id = ${userId ?? null}::uuid)
      and (${since?.toISOString() ?? null}::timestamptz is null or at >= ${since?.toISOString() ?? null}::timestamptz)
      and (${action ?? null}::text is null or action = ${action ?? null}::text or starts_with(action, ${
      action ?? ''
    }::text || '.'))
    order by id desc limit ${limit}`)
  )
  return rows
}
