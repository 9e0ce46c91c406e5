// What a login leaves in the tables, asked in one statement each.
import type { Rights, Verdict } from './oracle.js'

/** What the database holds of somebody, in the oracle's words. */
export interface Stored extends Rights {
  readonly username: string
  /** All that exist, the person's or not. */
  readonly localGroups: readonly string[]
  readonly causes: Verdict['causes']
  readonly reading: readonly string[]
  readonly users: number
  readonly identities: number
  readonly sessions: number
  /** Audit rows. */
  readonly logins: number
}

const TABLES = ['users', 'identities', 'user_groups', 'entra_readings', 'sessions', 'spent_flows'] as const
/** Everything a failed login must not touch, and that it was no login. */
export const DUMP = `select ${
  TABLES.map((table) => `(select jsonb_agg(x order by x::text) from ${table} x) as ${table}`).join(', ')
},
  (select jsonb_agg(x order by x.id) from audit_events x where action = 'login') as logins`

/** $1: object id. */
export const ROWS =
  `select to_jsonb(u) - 'last_login_at' - 'staff_since' - 'superuser_since' as person, to_jsonb(i) - 'upn_seen_at' as
    identity, to_jsonb(r) - 'read_at' as reading,
  (select jsonb_agg(to_jsonb(ug) - 'since' order by ug.group_id) from user_groups ug where ug.user_id = u.id) as groups
  from identities i join users u on u.id = i.user_id join entra_readings r on r.user_id = u.id where i.oid = $1`

/** $1: object id. */
export const STORED =
  `select u.username, (select array_agg(name) from groups) as local_groups, u.is_staff, u.is_superuser, u.staff_cause,
    u.superuser_cause,
  (select coalesce(jsonb_agg(jsonb_build_object('name', g.name, 'cause', ug.cause)), '[]') from user_groups ug join
    groups g on g.id = ug.group_id where ug.user_id = u.id) as groups,
  (select group_ids::text[] from entra_readings where user_id = u.id) as reading,
  (select count(*)::int from users same where same.email = u.email) as users,
  (select count(*)::int from identities where oid = $1 or user_id = u.id) as identities,
  (select count(*)::int from sessions where user_id = u.id) as sessions,
  (select count(*)::int from audit_events where user_id = u.id and action = 'login') as logins
  from identities i join users u on u.id = i.user_id where i.oid = $1`

interface CauseJson {
  readonly row: number
}

export function storedOf(row: Record<string, unknown>): Stored {
  const groups = row.groups as { name: string, cause: CauseJson[] | null }[]
  const numbers = (causes: unknown) => (causes as CauseJson[] | null ?? []).map((cause) => cause.row)
  return {
    username: String(row.username),
    localGroups: row.local_groups as string[] | null ?? [],
    groups: groups.map(({ name }) => name).sort(),
    staff: row.is_staff === true,
    superuser: row.is_superuser === true,
    causes: {
      groups: Object.fromEntries(groups.map(({ name, cause }) => [name, numbers(cause)])),
      staff: numbers(row.staff_cause),
      superuser: numbers(row.superuser_cause),
    },
    reading: [...row.reading as string[] | null ?? []].sort(),
    users: Number(row.users),
    identities: Number(row.identities),
    sessions: Number(row.sessions),
    logins: Number(row.logins),
  }
}
