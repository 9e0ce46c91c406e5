// How what was taken away is taken away again, for each kind of tombstone (core/tombstones.ts). Each may run any number
// of times, and gives nothing.
import { sql, type SQL } from 'drizzle-orm'
import type { Taken, TakingKind } from '../../core/tombstones.js'
import type { Transaction } from '../database.js'
import { ensureKeys } from '../keys.js'
import { eraseUser } from '../user-admin.js'

export interface TakingContext {
  readonly tx: Transaction
  /** keys.encryptionSecrets */
  readonly encryptionSecrets: readonly string[]
}

/** @returns how many rows there still were */
type TakeAgain = (context: TakingContext, subjects: readonly string[]) => Promise<number>

/** Users before memberships before sessions: a login locks them in this order too. */
const TAKE_AGAIN: Readonly<Record<TakingKind, TakeAgain>> = {
  'user.removed': async ({ tx }, ids) => {
    let removed = 0
    for (const id of ids) if (await eraseUser(tx, id) !== undefined) removed++
    return removed
  },
  'user.deactivated': run((ids) =>
    sql`with deactivated as (
        update users set is_active = false where is_active and id in (select id::uuid from ${ids} as id) returning id),
      ended as (delete from sessions where user_id in (select id from deactivated))
      select from deactivated`
  ),
  'staff.lost': run((ids) =>
    sql`update users set is_staff = false, staff_cause = null, staff_since = null
      where is_staff and id in (select id::uuid from ${ids} as id)`
  ),
  'superuser.lost': run((ids) =>
    sql`update users set is_superuser = false, superuser_cause = null, superuser_since = null
      where is_superuser and id in (select id::uuid from ${ids} as id)`
  ),
  'group.lost': run((pairs) =>
    sql`delete from user_groups where (user_id, group_id) in
      (select split_part(pair, '/', 1)::uuid, split_part(pair, '/', 2)::uuid from ${pairs} as pair)`
  ),
  'group.removed': run((ids) => sql`delete from groups where id in (select id::uuid from ${ids} as id)`),
  'permission.lost': run((pairs) =>
    sql`delete from group_permissions where (group_id, permission) in
      (select split_part(pair, '/', 1)::uuid, substr(pair, strpos(pair, '/') + 1) from ${pairs} as pair)`
  ),
  'identity.lost': run((triples) =>
    sql`delete from identities where (user_id, tid, oid) in (select split_part(triple, '/', 1)::uuid,
      split_part(triple, '/', 2)::uuid, split_part(triple, '/', 3)::uuid from ${triples} as triple)`
  ),
  'session.ended': run((hashes) =>
    sql`delete from sessions where id_hash in (select decode(hash, 'hex') from ${hashes} as hash)`
  ),
  'token.revoked': run((ids) =>
    sql`update tokens set revoked_at = now() where revoked_at is null and id in (select id from ${ids} as id)`
  ),
  'key.withdrawn': async (context, kids) => {
    const withdrawn = await run((list) => sql`delete from signing_keys where kid in (select kid from ${list} as kid)`)(
      context,
      kids,
    )
    if (withdrawn > 0) await ensureKeys(context.tx, context.encryptionSecrets) // the key that replaced it is lost
    return withdrawn
  },
  'policy.added': run((numbers) =>
    sql`update outbox set version_floor = added.number from
      (select max(n::integer) as number from ${numbers} as n) added
      where added.number > version_floor and added.number > (select coalesce(max(number), 0) from policy_versions)`
  ),
}

/** @param statement gets the subjects as a table of one column */
function run(statement: (subjects: SQL) => SQL): TakeAgain {
  return async ({ tx }, subjects) => {
    const { rowCount } = await tx.execute(statement(sql`unnest(${sql.param([...subjects])}::text[])`))
    return rowCount ?? 0
  }
}

/** @returns the number of rows by kind, of kinds with rows */
export async function takeAgain(context: TakingContext, taken: Taken): Promise<Readonly<Record<string, number>>> {
  const rows: Record<string, number> = {}
  for (const [kind, take] of Object.entries(TAKE_AGAIN) as [TakingKind, TakeAgain][]) {
    const subjects = taken.get(kind)
    if (subjects === undefined) continue
    const count = await take(context, subjects)
    if (count > 0) rows[kind] = count
  }
  return rows
}
