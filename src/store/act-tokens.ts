// What acts on tokens read, lock and change, in the transaction of the act (act-unit.ts).
import { sql } from 'drizzle-orm'
import type { TokenOwner, TokenTarget, TokenUnit } from '../core/acts.js'
import { newPublicTokenId } from '../core/token.js'
import type { Transaction } from './database.js'

export function tokenUnit(tx: Transaction): TokenUnit {
  return {
    async owner(userId) {
      const { rows: [owner] } = await tx.execute<TokenOwner & Record<string, unknown>>(sql`
        select id as "userId", username, is_active as "isActive", is_break_glass as "isBreakGlass"
        from users where id = ${userId} for share`)
      return owner
    },
    async add({ kind, name, ownerId, scopes, lifetimeMs, hash, requestId, createdBy }) {
      // guard: token-made-once
      const { rows: [token] } = await tx.execute<{ id: string, expiresAt: string }>(sql`
        insert into tokens (id, kind, name, owner_id, scopes, hash, request_id, created_by, expires_at)
        values (${newPublicTokenId()}, ${kind}, ${name}, ${ownerId}, ${sql.param([...scopes])}::text[], ${hash},
          ${requestId ?? null}, ${createdBy}, now() + make_interval(secs => ${lifetimeMs / 1000}))
        on conflict on constraint tokens_request do nothing
        returning id, to_json(expires_at) #>> '{}' as "expiresAt"`)
      return token
    },
    async target(id) {
      const { rows: [target] } = await tx.execute<TokenTarget & Record<string, unknown>>(sql`
        select k.id, k.kind, k.name, k.scopes, k.revoked_at is not null as "isRevoked", u.id as "userId", u.username,
          u.is_superuser as "isSuperuser", u.is_break_glass as "isBreakGlass"
        from tokens k join users u on u.id = k.owner_id where k.id = ${id} for update of k`)
      return target
    },
    async revoke(id) {
      await tx.execute(sql`update tokens set revoked_at = now() where id = ${id}`) // guard: token-revoked
    },
  }
}
