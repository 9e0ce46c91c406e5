// Changes to people by command. Deactivating and removing end the person's sessions in the same transaction; a removed
// person's name stays taken, so that nobody else is ever mistaken for them.
import { sql } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { MAX_USERNAME, usernameKey } from '../core/user.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'

export interface UserAdmin {
  /** A user without an Entra identity: no login changes them. @throws `username_taken`, `username_invalid` */
  add(user: { readonly username: string, readonly email?: string | undefined, readonly breakGlass?: boolean | undefined }, actor: string): Promise<void>
  /** @returns how many sessions ended with it; undefined where nothing changed */
  setActive(userId: string, active: boolean, actor: string): Promise<number | undefined>
  /** Erases the profile, anonymises the audit, ends sessions, keeps the username reserved. @returns ended sessions */
  remove(userId: string, actor: string): Promise<number>
}

export function createUserAdmin(database: Database): UserAdmin {
  return {
    async add({ username, email, breakGlass = false }, actor) {
      if (username === '' || username.length > MAX_USERNAME || /[\s\p{C}]/u.test(username)) throw new GatehouseError('username_invalid', { detail: `${JSON.stringify(username)} is no username`, remedy: `At most ${MAX_USERNAME} visible characters, no white space.` })
      await database.transaction(async (tx) => {
        const key = usernameKey(username)
        const { rows: [user] } = await tx.execute<{ id: string }>(sql`
          insert into users (username, username_key, email, is_break_glass)
          select ${username}, ${key}, ${email ?? null}, ${breakGlass} where not exists (select 1 from retired_usernames where username_key = ${key})
          on conflict (username_key) do nothing returning id`)
        if (!user) throw new GatehouseError('username_taken', { detail: `the username ${username} is or was somebody's`, remedy: 'Choose another one: names are never used again.' })
        await writeAudit(tx, { action: 'user.add', actor, userId: user.id, username, detail: { before: null, after: { username, email: email ?? null, breakGlass } } })
      })
    },
    setActive: (userId, active, actor) => database.transaction(async (tx) => {
      const { rows: [user] } = await tx.execute<{ username: string, is_active: boolean }>(sql`select username, is_active from users where id = ${userId} for update`)
      if (!user || user.is_active === active) return undefined
      await tx.execute(sql`update users set is_active = ${active} where id = ${userId}`)
      const ended = active ? 0 : await endSessions(tx, userId)
      await writeAudit(tx, { action: active ? 'user.activate' : 'user.deactivate', actor, userId, username: user.username, detail: { before: { active: !active }, after: { active }, sessionsEnded: ended } })
      return ended
    }),
    remove: (userId, actor) => database.transaction(async (tx) => {
      const { rows: [user] } = await tx.execute<{ username_key: string }>(sql`select username_key from users where id = ${userId} for update`)
      if (!user) throw new GatehouseError('user_unknown', { detail: 'the user is gone already' })
      await tx.execute(sql`insert into retired_usernames (username_key) values (${user.username_key}) on conflict do nothing`)
      const ended = await endSessions(tx, userId)
      await tx.execute(sql`
        update audit_events set username = null, detail = detail - 'tid' - 'oid' - 'before' - 'after'
        where user_id = ${userId} or detail->>'oid' in (select oid::text from identities where user_id = ${userId})`)
      await tx.execute(sql`delete from users where id = ${userId}`)
      await writeAudit(tx, { action: 'user.remove', actor, userId, detail: { sessionsEnded: ended } })
      return ended
    }),
  }
}

async function endSessions(tx: Transaction, userId: string): Promise<number> {
  const { rowCount } = await tx.execute(sql`delete from sessions where user_id = ${userId}`)
  return rowCount ?? 0
}
