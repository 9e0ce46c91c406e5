// Tokens of the admin API in Postgres. Each is read together with its owner in one statement: what was taken from the
// owner is taken from the token, with no copy and no grace.
import { sql, type SQL } from 'drizzle-orm'
import type { ActingByToken } from '../core/acts.js'
import type { Holdings } from '../core/ceiling.js'
import { tokenHoldings } from '../core/token.js'
import type { AdminTokenRecord, AdminTokenStore } from '../core/tokens.js'
import { adminRights } from './admin-sessions.js'
import type { Database, Transaction } from './database.js'
import { rowsOfRecord } from './rows-of-record.js'

type Row = Record<string, unknown> & AdminTokenRecord

/** Of `tokens k` and its owner `users u`. */
export const tokenState = sql`case when k.revoked_at is not null then 'revoked'
  when k.expires_at <= now() then 'expired'
  when not u.is_active or u.is_break_glass then 'ownerInactive' else 'active' end`

export function createAdminTokenStore(database: Database): AdminTokenStore {
  return {
    async find(hash) {
      // guard: record-token-verified
      const [row] = await rowsOfRecord<Row>(database, sql`select * from token`, { having: adminTokenOf(hash) })
      return row && record(row)
    },
  }
}

function adminTokenOf(hash: Buffer): SQL {
  return sql`
    token as (
      select k.id, k.scopes, u.id as "userId", u.username, u.name, ${adminRights}, ${tokenState} as state,
        coalesce(k.last_used_at < now() - interval '1 minute', true) as due
      from tokens k join users u on u.id = k.owner_id
      where k.hash = ${hash} and k.kind = 'admin'),
    used as (update tokens set last_used_at = now() from token
      where token.due and token.state = 'active' and tokens.id = token.id)`
}

function record(row: Row): AdminTokenRecord {
  const { id, scopes, userId, username, name, isStaff, isSuperuser, permissions, state } = row
  return { id, scopes, userId, username, name, isStaff, isSuperuser, permissions, state }
}

/** For an act: what the token is worth at this moment, locked. Undefined: nothing. */
export async function holdingsOfToken(tx: Transaction, { tokenId }: ActingByToken): Promise<Holdings | undefined> {
  // guard: token-again
  const { rows: [row] } = await tx.execute<Holdings & { scopes: readonly string[] } & Record<string, unknown>>(sql`
    select k.scopes, ${adminRights} from tokens k join users u on u.id = k.owner_id
    where k.id = ${tokenId} and k.kind = 'admin' and ${tokenState} = 'active' for share of u, k`)
  return row === undefined ? undefined : tokenHoldings(row.scopes, row)
}
