// Users for pages and commands: lists, one user, and the reasons for their rights.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import { usernameKey } from '../core/user.js'
import type { Cause } from '../core/mapping.js'
import type { SessionTimeouts } from '../core/session.js'
import type { Database } from './database.js'
import { stillActive } from './sessions.js'

export interface GrantedGroup {
  readonly name: string
  readonly cause: readonly Cause[] | null
  readonly since: string
}

export interface EntraIdentity {
  readonly tid: string
  readonly oid: string
  /** The last principal name that Entra ID reported, and the time. */
  readonly upn: string | null
  readonly upnSeenAt: string | null
}

export interface PersonView {
  readonly id: string
  readonly username: string
  readonly email: string | null
  readonly emailVerified: boolean
  readonly name: string | null
  readonly isActive: boolean
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
  readonly staffCause: readonly Cause[] | null
  readonly staffSince: string | null
  readonly superuserCause: readonly Cause[] | null
  readonly superuserSince: string | null
  readonly groups: readonly GrantedGroup[]
  readonly identities: readonly EntraIdentity[]
  /** Usernames of other users whose principal name in Entra ID is this one's username now. */
  readonly namesakes: readonly string[]
  /** The number of Entra groups in the last snapshot, and the time of the snapshot. */
  readonly entraGroups: number | null
  readonly readAt: string | null
  readonly createdAt: string
  readonly lastLoginAt: string | null
  readonly liveSessions: number
}

export interface PeopleStore {
  list(filter: { staff?: boolean, superuser?: boolean }): Promise<readonly PersonView[]>
  /**
   * @param user the first match of username, last UPN reported by Entra ID, e-mail (when it names one person) and id
   * @throws `user_unknown`, `user_ambiguous`
   */
  find(user: string): Promise<PersonView>
  byId(id: string): Promise<PersonView | undefined>
}

export function createPeopleStore(database: Database, timeouts: SessionTimeouts): PeopleStore {
  const select = async (where: SQL): Promise<PersonView[]> => {
    const { rows } = await database.ask((db) => db.execute<{ person: PersonView }>(view(where, timeouts)))
    return rows.map((row) => row.person)
  }
  return {
    list: ({ staff, superuser }) =>
      select(sql`(${staff !== true} or u.is_staff) and (${superuser !== true} or u.is_superuser)`),
    async byId(id) {
      return (await select(sql`u.id = ${id}`))[0]
    },
    async find(user) {
      for (const where of meanings(user)) {
        const [person, second, ...more] = await select(where)
        if (second) throw ambiguous(user, [person, second, ...more]) // guard: adv-ambiguous-refused
        if (person) return person
      }
      throw new GatehouseError('user_unknown', {
        detail: `there is no user ${user}`,
        remedy: 'gatehouse users list shows all users.',
      })
    },
  }
}

/** What USER may be, in the order in which it counts. */
function meanings(user: string): SQL[] {
  const key = usernameKey(user)
  // A principal name belongs to one account of a tenant at a time: who had it before counts no longer.
  // guard: adv-upn-sent-last
  const upn = sql`exists (select 1 from identities i where i.user_id = u.id and i.upn_key = ${key} and not exists (
    select 1 from identities o where o.upn_key = ${key} and o.tid = i.tid and o.upn_seen_at > i.upn_seen_at))`
  const id = sql`u.id = ${user} or exists (select 1 from identities where user_id = u.id and oid = ${user})`
  // guard: adv-found-by-upn, adv-username-before-upn
  return [sql`u.username_key = ${key}`, upn, sql`lower(u.email) = lower(${user})`, ...isObjectId(user) ? [id] : []]
}

function ambiguous(user: string, found: readonly (PersonView | undefined)[]): GatehouseError {
  const candidates = found.flatMap((each) => each === undefined ? [] : [`${each.username} (${each.id})`])
  return new GatehouseError('user_ambiguous', {
    detail: `${user} names ${candidates.length} users: ${candidates.join(', ')}`,
    remedy: 'Give the username or the id.',
  })
}

// One statement a list, however many people: PostgreSQL puts each of them together as JSON.
function view(where: SQL, timeouts: SessionTimeouts): SQL {
  return sql`
    select json_build_object(
      'id', u.id, 'username', u.username, 'email', u.email, 'emailVerified', u.email_verified, 'name', u.name,
      'isActive', u.is_active, 'isStaff', u.is_staff, 'isSuperuser', u.is_superuser, 'isBreakGlass', u.is_break_glass,
      'staffCause', u.staff_cause, 'staffSince', u.staff_since, 'superuserCause', u.superuser_cause, 'superuserSince',
        u.superuser_since,
      'groups', coalesce((select json_agg(json_build_object('name', g.name, 'cause', ug.cause, 'since', ug.since) order
        by g.name)
        from user_groups ug join groups g on g.id = ug.group_id where ug.user_id = u.id), '[]'),
      'identities', coalesce((select json_agg(
        json_build_object('tid', i.tid, 'oid', i.oid, 'upn', i.upn, 'upnSeenAt', i.upn_seen_at))
        from identities i where i.user_id = u.id), '[]'),
      'namesakes', coalesce((select json_agg(distinct x.username) from identities i join users x on x.id = i.user_id
        where i.upn_key = u.username_key and x.id <> u.id), '[]'),
      'entraGroups', (select cardinality(group_ids) from entra_readings r where r.user_id = u.id),
      'readAt', (select read_at from entra_readings r where r.user_id = u.id),
      'createdAt', u.created_at, 'lastLoginAt', u.last_login_at,
      'liveSessions', (select count(*) from sessions s where s.user_id = u.id and ${stillActive(timeouts)})) as person
    from users u where ${where} order by u.username`
}
