// Former usernames: reserved when a user is removed or renamed, and available to others only when an administrator
// releases them. Applications that identify users by name take the new holder for the old one.
import { sql, type SQL } from 'drizzle-orm'
import type { ReleasedName } from '../core/acts.js'
import { GatehouseError } from '../core/errors.js'
import { RELEASED_NAME_DAYS, usernameKey } from '../core/user.js'
import type { Transaction } from './database.js'
import { sqlState } from './database-errors.js'

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

export function nameTaken(username: string): GatehouseError {
  return new GatehouseError('username_taken', {
    detail: `the username ${username} is or was in use`,
    remedy: 'Choose another one, or release a name that is no longer in use: gatehouse users release NAME --yes --now.',
  })
}

/**
 * Reserves the old name for RELEASED_NAME_DAYS. The user must be locked.
 * @throws `username_taken`
 */
export async function renameUser(tx: Transaction, userId: string, username: string): Promise<void> {
  const key = usernameKey(username)
  const { rows: [user] } = await tx.execute<{ key: string }>(sql`
    select username_key as key from users where id = ${userId}`)
  if (!user) throw new GatehouseError('user_unknown', { detail: 'the user is gone already' })
  await tx.execute(sql`update users set username = ${username}, username_key = ${key} where id = ${userId}`)
    .catch((error: unknown) => {
      throw sqlState(error) === UNIQUE_VIOLATION ? nameTaken(username) : error
    })
  if (key === user.key) return
  if (!await takeName(tx, key, userId)) throw nameTaken(username) // guard: adv-rename-to-kept
  await retireName(tx, user.key, userId) // guard: adv-renamed-name-kept
}

/**
 * Releases a reserved name after RELEASED_NAME_DAYS or, with `now`, immediately. A second release keeps the date.
 * @throws `username_taken`, `username_not_reserved`
 */
export async function releaseName(tx: Transaction, username: string, now: boolean): Promise<ReleasedName> {
  const key = usernameKey(username)
  const { rows: [kept] } = await tx.execute<{ released: boolean }>(sql`
    select released_at is not null as released from retired_usernames where username_key = ${key} for update`)
  if (!kept) throw await notReserved(tx, username, key)
  if (now) {
    await tx.execute(sql`delete from retired_usernames where username_key = ${key}`)
    return { availableFrom: null, changed: true }
  }
  const { rows: [row] } = await tx.execute<{ until: string | null }>(sql`
    update retired_usernames set released_at = coalesce(released_at, now()) where username_key = ${key}
    returning case when released_at + ${waits} > now()
      then to_char((released_at + ${waits}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end as until`)
  return { availableFrom: row?.until ?? null, changed: !kept.released }
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
