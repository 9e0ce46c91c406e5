// Finds who asks for something in the API: by an API token, or else by a session of the console. A token of Gatehouse
// decides alone, valid or not: no cookie counts beside it.
import { adminPermissions } from '../../core/admin-permissions.js'
import { GatehouseError } from '../../core/errors.js'
import { readToken, tokenHoldings } from '../../core/token.js'
import type { AdminTokenRecord, AdminTokenStore } from '../../core/tokens.js'
import type { AdminGuard, ApiActor, ApiGuard, TokenActor } from './actor.js'
import type { AdminGuardDeps } from './guard.js'
import { bearerOf } from './bearer.js'

export interface ApiGuardDeps extends Pick<AdminGuardDeps, 'isOutside'> {
  readonly guard: AdminGuard
  readonly adminTokens: AdminTokenStore
}

export function createApiGuard({ guard, adminTokens, isOutside }: ApiGuardDeps): ApiGuard {
  return {
    async authenticate(request, permission) {
      if (isOutside(request)) throw new GatehouseError('not_found') // guard: token-networks
      const token = bearerOf(request.raw)
      if (token === undefined) return await guard.authenticate(request, permission)
      const actor = actorOf(await found(token, adminTokens))
      if (!actor.permissions.has(permission)) { // guard: token-permission
        throw new GatehouseError('not_allowed', { detail: `the token ${actor.tokenId} lacks ${permission}` })
      }
      return actor
    },
  }
}

export function isTokenActor(actor: ApiActor): actor is TokenActor {
  return actor.tokenId !== undefined
}

/** The log says what is wrong with it, the answer does not. */
async function found(token: string, adminTokens: AdminTokenStore): Promise<AdminTokenRecord> {
  const hash = readToken('admin', token)
  if (hash === undefined) throw invalid('it has not the form of an admin token, or its checksum is wrong')
  const record = await adminTokens.find(hash)
  if (record === undefined) throw invalid('it is unknown')
  if (record.state !== 'active') throw invalid(`${record.id} is ${STATES[record.state]}`) // guard: token-ended
  return record
}

const STATES = { expired: 'expired', revoked: 'revoked', ownerInactive: 'of an inactive owner' } as const

function invalid(detail: string): GatehouseError {
  return new GatehouseError('admin_token_invalid', { detail })
}

function actorOf({ id, userId, username, name, scopes, ...rights }: AdminTokenRecord): TokenActor {
  return { tokenId: id, userId, username, name, permissions: adminPermissions(tokenHoldings(scopes, rights)) }
}
