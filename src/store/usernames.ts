// Former usernames: reserved when a user is removed or renamed, and available to others only when an administrator
// releases them. Applications that identify users by name take the new holder for the old one.
import { sql, type SQL } from 'drizzle-orm'
import { GatehouseError } from '../core/errors.js'
import { isUsername, MAX_USERNAME, RELEASED_NAME_DAYS, usernameKey } from '../core/user.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { sqlState } from './database-errors.js'

export interface Usernames {
  /**
   * Reserves the old name for RELEASED_NAME_DAYS. @returns the name before; undefined where nothing changed
   * @throws `username_invalid`, `username_taken`, `user_unknown`
   */
  rename(userId: string, username: string, actor: string): Promise<string | undefined>
  /**
   * Releases a reserved name after RELEASED_NAME_DAYS or, with `now`, immediately. A second release keeps the date.
   * @returns when the name becomes available (ISO 8601); null: now @throws `username_taken`, `username_not_reserved`
   */
  release(username: string, options: { readonly now: boolean }, actor: string): Promise<string | null>
}

const UNIQUE_VIOLATION = '23505'
const waits = sql`make_interval(days => ${RELEASED_NAME_DAYS})`

/** SQL: the name with this key is reserved. @param userId the user for whom their own former name is available */
export function keptFrom(key: string, userId?: string): SQL {
  // guard: adv-own-former-name
  const others = userId === undefined ? sql`true` : sql`holder_id is distinct from ${userId}::uuid`
  return sql`exists (select 1 from retired_usernames where username_key = ${key} and ${others}
    and (released_at is null or released_at > now() - ${waits}))` // guard: adv-released-after-days
}

/**
 * Call it after the name was written, in the same transaction: only then are concurrent removals and renames visible.
 * @returns false where the name is reserved: the transaction must be rolled back
 */
export async function takeName(tx: Transaction, key: string, userId: string): Promise<boolean> {
  // guard: adv-taken-name-not-released
  const { rows: [row] } = await tx.execute<{ kept: boolean }>(sql`
    with taken as (delete from retired_usernames where username_key = ${key}) select ${keptFrom(key, userId)} as kept`)
  return row?.kept === false
}

/** @param holderId the renamed user; null: the user is being removed, and the name stays reserved */
export async function retireName(tx: Transaction, key: string, holderId: string | null): Promise<void> {
  const released = holderId === null ? sql`null` : sql`now()`
  await tx.execute(sql`
    insert into retired_usernames (username_key, released_at, holder_id) values (${key}, ${released}, ${holderId})
    on conflict (username_key) do update
    set retired_at = now(), released_at = excluded.released_at, holder_id = excluded.holder_id`)
}

export function requireUsername(username: string): void {
  if (isUsername(username)) return
  throw new GatehouseError('username_invalid', {
    detail: `${JSON.stringify(username)} is not a valid username`,
    remedy: `At most ${MAX_USERNAME} visible characters, no white space, no colon.`,
  })
}

export function nameTaken(username: string): GatehouseError {
  return new GatehouseError('username_taken', {
    detail: `the username ${username} is or was in use`,
    remedy: 'Choose another one, or release a name that is no longer in use: gatehouse users release NAME --yes --now.',
  })
}

export function createUsernames(database: Database): Usernames {
  return {
    async rename(userId, username, actor) {
      requireUsername(username)
      return await database.transaction((tx) => rename(tx, userId, username, actor)).catch((error: unknown) => {
        throw sqlState(error) === UNIQUE_VIOLATION ? nameTaken(username) : error
      })
    },
    release: (username, { now }, actor) => database.transaction((tx) => release(tx, username, now, actor)),
  }
}

async function rename(tx: Transaction, userId: string, username: string, actor: string): Promise<string | undefined> {
  const { rows: [user] } = await tx.execute<{ username: string, username_key: string }>(sql`
    select username, username_key from users where id = ${userId} for update`)
  if (!user) throw new GatehouseError('user_unknown', { detail: 'the user is gone already' })
  if (user.username === username) return undefined
  const key = usernameKey(username)
  await tx.execute(sql`update users set username = ${username}, username_key = ${key} where id = ${userId}`)
  if (key !== user.username_key) {
    if (!await takeName(tx, key, userId)) throw nameTaken(username) // guard: adv-rename-to-kept
    await retireName(tx, user.username_key, userId) // guard: adv-renamed-name-kept
  }
  const detail = { before: { username: user.username }, after: { username } }
  await writeAudit(tx, { action: 'user.rename', actor, userId, username, detail }) // guard: adv-rename-recorded
  return user.username
}

async function release(tx: Transaction, username: string, now: boolean, actor: string): Promise<string | null> {
  const key = usernameKey(username)
  const { rows: [kept] } = await tx.execute<{ released: boolean }>(sql`
    select released_at is not null as released from retired_usernames where username_key = ${key} for update`)
  if (!kept) throw await notReserved(tx, username, key)
  if (now) await tx.execute(sql`delete from retired_usernames where username_key = ${key}`)
  const { rows: [row] } = now ? { rows: [] } : await tx.execute<{ until: string | null }>(sql`
    update retired_usernames set released_at = coalesce(released_at, now()) where username_key = ${key}
    returning case when released_at + ${waits} > now()
      then to_char((released_at + ${waits}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end as until`)
  const availableFrom = row?.until ?? null
  if (!now && kept.released) return availableFrom
  // guard: adv-release-recorded
  await writeAudit(tx, { action: 'user.release', actor, detail: { username, now, availableFrom } })
  return availableFrom
}

async function notReserved(tx: Transaction, username: string, key: string): Promise<GatehouseError> {
  const { rowCount } = await tx.execute(sql`select 1 from users where username_key = ${key}`)
  if (rowCount === 0) {
    return new GatehouseError('username_not_reserved', {
      detail: `the username ${username} is not reserved`,
      remedy: 'It is available already, unless reservedUsernames in the configuration names it.',
    })
  }
  return new GatehouseError('username_taken', {
    detail: `the username ${username} is in use`,
    remedy: 'Rename or remove its user first: gatehouse users rename, gatehouse users remove.',
  })
}
