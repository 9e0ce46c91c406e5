// The users that a re-evaluation is about. Users without an Entra identity are never touched.
import { sql, type SQL } from 'drizzle-orm'
import type { EntraUser } from '../core/account-source.js'
import type { SessionTimeouts } from '../core/session.js'
import { stillActive } from './sessions.js'

export interface ActiveUsersOptions extends SessionTimeouts {
  readonly tenantId: string
}

export type EntraUserRow = Record<string, unknown> & EntraUser

/** Users in one query. */
export const MAX_USERS = 2_000

/**
 * Every user with an Entra identity and an active session. `ours`: of the configured tenant, so that Graph can answer.
 * `last_at`: time of the last attempt, successful or not.
 */
export function activeUsers(options: ActiveUsersOptions): SQL {
  // guard: sync-other-tenant, sync-active-users-only
  return sql`
    select u.id as user_id, u.username, i.oid, i.tid = ${options.tenantId} as ours, r.read_at, c.tried_at,
      c.missing_since, greatest(r.read_at, c.tried_at) as last_at, u.is_staff or u.is_superuser as privileged
    from users u join lateral (select tid, oid from identities where user_id = u.id order by tid = ${options.tenantId}
      desc limit 1) i on true
    left join entra_readings r on r.user_id = u.id left join entra_checks c on c.user_id = u.id
    where exists (select 1 from sessions s where s.user_id = u.id and ${stillActive(options)})`
}
