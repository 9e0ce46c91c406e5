// Tokens as administrators see them, newest first, page by page.
import { sql, type SQL } from 'drizzle-orm'
import { pageOf, PAGE_ROWS } from '../core/page.js'
import type { TokenCursor, TokensList, TokenView } from '../core/tokens.js'
import { tokenState } from './admin-tokens.js'
import type { Database } from './database.js'

export function createTokensList(database: Database): TokensList {
  return {
    async list({ after, limit = PAGE_ROWS }) {
      const { rows } = await database.ask((db) =>
        db.execute<{ token: TokenView }>(sql`
          select ${tokenView} as token from tokens k join users u on u.id = k.owner_id where ${earlier(after)}
          order by k.created_at desc, k.id desc limit ${limit + 1}`)
      )
      return pageOf(rows.map(({ token }) => token), limit, ({ id, createdAt }) => ({ id, createdAt }))
    },
    async byId(id) {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<{ token: TokenView }>(sql`
          select ${tokenView} as token from tokens k join users u on u.id = k.owner_id where k.id = ${id}`)
      )
      return row?.token
    },
  }
}

/** Of `tokens k` and `users u`. */
const tokenView = sql`json_build_object('id', k.id, 'kind', k.kind, 'name', k.name, 'ownerId', u.id,
  'owner', u.username, 'scopes', k.scopes, 'createdAt', k.created_at, 'createdBy', k.created_by,
  'expiresAt', k.expires_at, 'lastUsedAt', k.last_used_at, 'revokedAt', k.revoked_at, 'state', ${tokenState})`

function earlier(after: TokenCursor | undefined): SQL {
  if (after === undefined) return sql`true`
  // guard: list-tokens-after
  return sql`(k.created_at, k.id) < (${after.createdAt}::timestamptz, ${after.id})`
}
