// Changes to users by an administrator. Deactivating and removing end the user's sessions in the same transaction; the
// name of a removed user stays reserved, so that no other user is mistaken for them.
import { sql } from 'drizzle-orm'
import type { NewPerson } from '../core/acts.js'
import { usernameKey } from '../core/user.js'
import type { Transaction } from './database.js'
import { endSessionsOf } from './sessions.js'
import { nameTaken, retireName, takeName } from './usernames.js'

/** @returns the id @throws `username_taken` */
export async function addUser(
  tx: Transaction,
  { username, email, breakGlass = false }: NewPerson,
): Promise<string> {
  const key = usernameKey(username)
  const { rows: [user] } = await tx.execute<{ id: string }>(sql`
    insert into users (username, username_key, email, is_break_glass)
    values (${username}, ${key}, ${email ?? null}, ${breakGlass})
    on conflict (username_key) do nothing returning id`)
  if (!user || !await takeName(tx, key, user.id)) throw nameTaken(username) // guard: adv-add-to-kept
  return user.id
}

/** @returns how many sessions have ended with it */
export async function setUserActive(tx: Transaction, userId: string, active: boolean): Promise<number> {
  await tx.execute(sql`update users set is_active = ${active} where id = ${userId}`)
  return active ? 0 : (await endSessionsOf(tx, userId)).length
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
  // guard: policy-sample-removed-user
  await tx.execute(sql`delete from policy_previews
    where state = 'running' or result::text like ${`%${userId}%`}`)
  await tx.execute(sql`delete from users where id = ${userId}`)
  return ended
}

/** Of refused sign-ins without a user, those of the user's accounts. Two statements, so that each can use an index. */
async function anonymiseAudit(tx: Transaction, userId: string): Promise<void> {
  const anonymous = sql`update audit_events set username = null, detail = detail - 'tid' - 'oid' - 'before' - 'after'`
  await tx.execute(sql`${anonymous} where user_id = ${userId}`)
  await tx.execute(sql`${anonymous} where user_id is null and detail->>'oid' is not null
    and detail->>'oid' in (select oid::text from identities where user_id = ${userId})`)
}
