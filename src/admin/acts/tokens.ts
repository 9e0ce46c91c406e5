// Acts on tokens. A token is returned once, by the act that makes it, and is stored nowhere.
import type { Acting, ActTransaction } from '../../core/acts.js'
import type { AdminPermission } from '../../core/admin-permissions.js'
import { requireMayActUpon, requireWithinOwnRights } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import { DAY_MS, makeToken, TOKEN_LIFETIME_DAYS } from '../../core/token.js'
import { tokenUnknown } from '../tokens.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

export const MOST_TOKEN_NAME = 100

export interface NewAdminToken {
  readonly name: string
  /** Id of the user; undefined: the administrator who asks. */
  readonly ownerId?: string | undefined
  /** At least one. */
  readonly scopes: readonly AdminPermission[]
  /** At most a year. */
  readonly lifetimeMs: number
  /** A UUID: a second request with the same one makes no second token. */
  readonly requestId?: string | undefined
}

export interface MadeToken {
  /** Public. */
  readonly id: string
  /** Shown once. */
  readonly token: string
  readonly owner: string
  readonly expiresAt: string
}

export interface RevokedToken {
  readonly name: string
  readonly owner: string
  /** False: it was revoked already. */
  readonly changed: boolean
}

export interface TokenActs {
  /**
   * A token of the admin API.
   * @throws GatehouseError `above_own_rights`, `token_owner_unusable`, `user_unknown`, `request_repeated`
   */
  addAdmin(token: NewAdminToken, acting: Acting): Promise<MadeToken>
  /** @throws GatehouseError `token_unknown`, `above_own_rights` */
  revoke(id: string, acting: Acting): Promise<RevokedToken>
}

/** In turn: what the administrator holds, and so may give, must not be taken away meanwhile. */
const RULES = { permission: 'gatehouse.tokens', inTurn: true } as const

export function createTokenActs(transaction: ActTransaction): TokenActs {
  return {
    async addAdmin(token, acting) {
      requireUsable(token)
      return await perform(transaction, acting, RULES, async (context) => await addAdmin(token, context))
    },
    async revoke(id, acting) {
      checkText(id)
      return await perform(transaction, acting, RULES, async ({ unit, holder, record }) => {
        const target = await unit.tokens.target(id)
        if (target === undefined) throw tokenUnknown(id)
        requireMayActUpon(holder, target) // guard: token-revoke-ceiling
        const { userId, username, name, scopes, isRevoked } = target
        if (isRevoked) return { name, owner: username, changed: false }
        await unit.tokens.revoke(id)
        const before = { name, scopes }
        await record({ action: 'token.revoke', userId, username, before, after: null, detail: { token: id } })
        return { name, owner: username, changed: true }
      })
    },
  }
}

function requireUsable({ name, scopes, lifetimeMs }: NewAdminToken): void {
  checkText(name)
  if (name.trim() === '' || name.length > MOST_TOKEN_NAME) {
    throw malformed(`the name of a token has 1 to ${MOST_TOKEN_NAME} characters`)
  }
  if (scopes.length === 0) throw malformed('a token needs at least one scope')
  if (lifetimeMs < 1_000 || lifetimeMs > TOKEN_LIFETIME_DAYS * DAY_MS) { // guard: token-lifetime
    throw malformed(`a token lasts from one second to ${TOKEN_LIFETIME_DAYS} days`)
  }
}

function malformed(detail: string): GatehouseError {
  return new GatehouseError('request_malformed', { detail })
}

async function addAdmin(given: NewAdminToken, { unit, holder, acting, record }: ActContext): Promise<MadeToken> {
  const { name, scopes, lifetimeMs, requestId, ownerId = acting.admin?.userId ?? '' } = given
  requireWithinOwnRights(holder, { permissions: scopes }) // guard: token-ceiling
  const owner = await unit.tokens.owner(ownerId)
  if (owner === undefined) throw new GatehouseError('user_unknown', { detail: 'there is no user with this id' })
  const { username } = owner
  if (!owner.isActive || owner.isBreakGlass) { // guard: token-owner
    throw new GatehouseError('token_owner_unusable', {
      detail: `${username} is inactive or has break-glass, so a token of this user would be worth nothing`,
      remedy: 'Choose an active user without break-glass as the owner.',
    })
  }
  const { token, hash } = makeToken('admin')
  const made = await unit.tokens.add({
    kind: 'admin',
    name,
    ownerId,
    scopes,
    lifetimeMs,
    hash,
    requestId,
    createdBy: acting.actor,
  })
  if (made === undefined) throw new GatehouseError('request_repeated')
  const { id, expiresAt } = made
  const after = { kind: 'admin', name, owner: username, scopes, expiresAt }
  await record({ action: 'token.add', userId: ownerId, username, before: null, after, detail: { token: id } })
  return { id, token, owner: username, expiresAt }
}
