// What acts on users read, lock and change, in the transaction of the act (act-unit.ts).
import { sql } from 'drizzle-orm'
import type { PeopleUnit, PersonTarget } from '../core/acts.js'
import type { PersonView } from '../core/people.js'
import type { SessionTimeouts } from '../core/session.js'
import type { Transaction } from './database.js'
import { liveMembership } from './live-membership.js'
import { personView } from './person-view.js'
import { addUser, eraseUser, setUserActive } from './user-admin.js'
import { releaseName, renameUser } from './usernames.js'

export function peopleUnit(tx: Transaction, timeouts: SessionTimeouts): PeopleUnit {
  return {
    async target(userId) {
      const { rows: [target] } = await tx.execute<PersonTarget & Record<string, unknown>>(sql`
        select id as "userId", username, is_superuser as "isSuperuser", is_break_glass as "isBreakGlass",
          is_active as "isActive", is_staff as "isStaff",
          array(select p.permission from user_groups g join group_permissions p using (group_id)
            where g.user_id = users.id and ${liveMembership('g')}) as permissions
        from users where id = ${userId} for update`)
      return target
    },
    async view(userId) {
      const { rows: [row] } = await tx.execute<{ person: PersonView }>(sql`
        select ${personView(timeouts)} as person from users u where u.id = ${userId}`)
      return row?.person
    },
    async hasOtherSuperuser(userId) {
      const { rowCount } = await tx.execute(sql`
        select 1 from users where is_superuser and is_active and id <> ${userId} order by id limit 1 for share`)
      return rowCount === 1
    },
    setActive: (userId, active) => setUserActive(tx, userId, active),
    add: (person) => addUser(tx, person),
    remove: async (userId) => await eraseUser(tx, userId) ?? 0,
    rename: (userId, username) => renameUser(tx, userId, username),
    releaseName: (username, now) => releaseName(tx, username, now),
  }
}
