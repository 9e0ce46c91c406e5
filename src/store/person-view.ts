// Users as the JSON of PersonView, PersonSummary and MemberView (core/people.ts): expressions over `users u`, so that a
// page is one statement.
import { sql, type SQL } from 'drizzle-orm'
import type { SessionTimeouts } from '../core/session.js'
import { liveMembership, membershipEnd } from './live-membership.js'
import { stillActive } from './sessions.js'

/** With rights, identities and sessions. */
export function personView(timeouts: SessionTimeouts): SQL {
  return sql`json_build_object(
      'id', u.id, 'username', u.username, 'email', u.email, 'emailVerified', u.email_verified, 'name', u.name,
      'isActive', u.is_active, 'isStaff', u.is_staff, 'isSuperuser', u.is_superuser, 'isBreakGlass', u.is_break_glass,
      'staffCause', u.staff_cause, 'staffSince', u.staff_since, 'superuserCause', u.superuser_cause, 'superuserSince',
        u.superuser_since,
      'groups', coalesce((select json_agg(json_build_object('name', g.name, 'cause', ug.cause, 'since', ug.since,
          'until', ${membershipEnd('ug')}) order by g.name)
        from user_groups ug join groups g on g.id = ug.group_id
        where ug.user_id = u.id and ${liveMembership('ug')}), '[]'),
      'identities', coalesce((select json_agg(
        json_build_object('tid', i.tid, 'oid', i.oid, 'upn', i.upn, 'upnSeenAt', i.upn_seen_at))
        from identities i where i.user_id = u.id), '[]'),
      'namesakes', coalesce((select json_agg(distinct x.username) from identities i join users x on x.id = i.user_id
        where i.upn_key = u.username_key and x.id <> u.id), '[]'),
      'entraGroups', (select cardinality(group_ids) from entra_readings r where r.user_id = u.id),
      'readAt', (select read_at from entra_readings r where r.user_id = u.id),
      'createdAt', u.created_at, 'lastLoginAt', u.last_login_at,
      'liveSessions', (select count(*) from sessions s where s.user_id = u.id and ${stillActive(timeouts)}))`
}

/** Without reasons, so that a page of a list is small. */
export const personSummary: SQL = sql`json_build_object(
    'id', u.id, 'username', u.username, 'name', u.name, 'email', u.email, 'isActive', u.is_active,
    'isStaff', u.is_staff, 'isSuperuser', u.is_superuser, 'isBreakGlass', u.is_break_glass,
    'isGuest', exists (select 1 from identities i where i.user_id = u.id and i.guest),
    'groupCount', (select count(*) from user_groups ug where ug.user_id = u.id and ${liveMembership('ug')}),
    'handMadeCount', (select count(*) from user_groups ug
      where ug.user_id = u.id and ug.cause is null and ${liveMembership('ug')}),
    'lastLoginAt', u.last_login_at,
    'lastSeenAt', greatest(u.last_login_at, (select max(s.last_seen_at) from sessions s where s.user_id = u.id)))`

/** A member of the local group of this name, with the reason. The list has those alone whose membership is live. */
export function memberView(group: string): SQL {
  const membership = (column: SQL): SQL =>
    sql`(select ${column} from user_groups ug join groups g on g.id = ug.group_id
      where ug.user_id = u.id and g.name = ${group})`
  return sql`json_build_object('id', u.id, 'username', u.username, 'name', u.name, 'isActive', u.is_active,
    'cause', ${membership(sql`ug.cause`)}, 'since', ${membership(sql`ug.since`)},
    'until', ${membership(membershipEnd('ug'))})`
}
