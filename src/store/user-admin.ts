// Changes to users by command. Deactivating and removing end the user's sessions in the same transaction; the name of a
// removed user stays reserved, so that no other user is mistaken for them.
import { sql } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { usernameKey } from '../core/user.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { endSessionsOf } from './sessions.js'
import { nameTaken, requireUsername, retireName, takeName } from './usernames.js'

interface NewUser {
  readonly username: string
  readonly email?: string | undefined
  readonly breakGlass?: boolean | undefined
}

export interface UserAdmin {
  /** A user without an Entra identity: no login changes them. @throws `username_taken`, `username_invalid` */
  add(user: NewUser, actor: string): Promise<void>
  /** @returns how many sessions ended with it; undefined where nothing changed */
  setActive(userId: string, active: boolean, actor: string): Promise<number | undefined>
  /** Erases the profile, anonymises the audit, ends sessions, keeps the username reserved. @returns ended sessions */
  remove(userId: string, actor: string): Promise<number>
}

export function createUserAdmin(database: Database): UserAdmin {
  return {
    async add(user, actor) {
      requireUsername(user.username)
      await database.transaction((tx) => addUser(tx, user, actor))
    },
    setActive: (userId, active, actor) => database.transaction((tx) => setUserActive(tx, userId, active, actor)),
    remove: (userId, actor) => database.transaction((tx) => removeUser(tx, userId, actor)),
  }
}

async function addUser(
  tx: Transaction,
  { username, email, breakGlass = false }: NewUser,
  actor: string,
): Promise<void> {
  const key = usernameKey(username)
  const { rows: [user] } = await tx.execute<{ id: string }>(sql`
    insert into users (username, username_key, email, is_break_glass)
    values (${username}, ${key}, ${email ?? null}, ${breakGlass})
    on conflict (username_key) do nothing returning id`)
  if (!user || !await takeName(tx, key, user.id)) throw nameTaken(username) // guard: adv-add-to-kept
  const after = { username, email: email ?? null, breakGlass }
  await writeAudit(tx, { action: 'user.add', actor, userId: user.id, username, detail: { before: null, after } })
}

async function setUserActive(
  tx: Transaction,
  userId: string,
  active: boolean,
  actor: string,
): Promise<number | undefined> {
  const { rows: [user] } = await tx.execute<{ username: string, is_active: boolean }>(
    sql`select username, is_active from users where id = ${userId} for update`,
  )
  if (!user || user.is_active === active) return undefined
  await tx.execute(sql`update users set is_active = ${active} where id = ${userId}`)
  const ended = active ? 0 : (await endSessionsOf(tx, userId)).length
  await writeAudit(tx, {
    action: active ? 'user.activate' : 'user.deactivate',
    actor,
    userId,
    username: user.username,
    detail: { before: { active: !active }, after: { active }, sessionsEnded: ended },
  })
  return ended
}

async function removeUser(tx: Transaction, userId: string, actor: string): Promise<number> {
  const ended = await eraseUser(tx, userId)
  if (ended === undefined) throw new GatehouseError('user_unknown', { detail: 'the user has been removed already' })
  await writeAudit(tx, { action: 'user.remove', actor, userId, detail: { sessionsEnded: ended } })
  return ended
}

/** The part of a removal that the audit does not record. @returns ended sessions; undefined: there is no such user */
export async function eraseUser(tx: Transaction, userId: string): Promise<number | undefined> {
  const { rows: [user] } = await tx.execute<{ username_key: string }>(
    sql`select username_key from users where id = ${userId} for update`,
  )
  if (!user) return undefined
  await retireName(tx, user.username_key, null) // guard: adv-removed-name-reserved
  const { length: ended } = await endSessionsOf(tx, userId)
  await anonymiseAudit(tx, userId)
  await tx.execute(sql`delete from users where id = ${userId}`)
  return ended
}

/** Of refused sign-ins without a user, those of the user's accounts. Two statements, so that each can use an index. */
async function anonymiseAudit(tx: Transaction, userId: string): Promise<void> {
  const anonymous = sql`update audit_events set username = null, detail = detail - 'tid' - 'oid' - 'before' - 'after'`
  await tx.execute(sql`${anonymous} where user_id = ${userId}`)
  await tx.execute(sql`${anonymous} where user_id is null
    and detail->>'oid' in (select oid::text from identities where user_id = ${userId})`)
}
