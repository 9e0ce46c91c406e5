// API tokens as the gateway reads them with each request, and as administrators see them.
import type { SessionRights } from './access.js'
import type { TokenKind } from './token.js'
import type { Page, PageRequest } from './page.js'

/** An admin token with the rights that its owner has at this moment. */
export interface AdminTokenRecord extends Pick<SessionRights, 'isStaff' | 'isSuperuser' | 'permissions'> {
  /** Public id. */
  readonly id: string
  readonly scopes: readonly string[]
  /** Of the owner. */
  readonly userId: string
  readonly username: string
  readonly name: string | null
  readonly state: TokenState
}

/** `ownerInactive`: the owner is inactive now, or has break-glass; the token counts again with its owner. */
export type TokenState = 'active' | 'expired' | 'revoked' | 'ownerInactive'

export interface AdminTokenStore {
  /**
   * Read from the database each time. Records the use once a minute at most.
   * @param hash as `readToken` returns it @throws GatehouseError `database_unavailable`
   */
  find(hash: Buffer): Promise<AdminTokenRecord | undefined>
}

export interface TokenView {
  /** Public id. */
  readonly id: string
  readonly kind: TokenKind
  readonly name: string
  readonly ownerId: string
  /** Username. */
  readonly owner: string
  readonly scopes: readonly string[]
  readonly createdAt: string
  /** As in the audit record: `admin:<user id>`, `cli:<os user>`. */
  readonly createdBy: string
  readonly expiresAt: string
  /** Recorded once a minute at most; null: never used. */
  readonly lastUsedAt: string | null
  readonly revokedAt: string | null
  readonly state: TokenState
}

/** A row of a page: the next one begins after it. */
export type TokenCursor = Pick<TokenView, 'id' | 'createdAt'>

export interface TokensList {
  /** Newest first, also those that have ended. */
  list(request: PageRequest<TokenCursor>): Promise<Page<TokenView, TokenCursor>>
  byId(id: string): Promise<TokenView | undefined>
}
