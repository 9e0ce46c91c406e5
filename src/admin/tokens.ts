// Tokens for the console, its API and the commands: the list. acts/tokens.ts makes and revokes them.
import { GatehouseError } from '../core/errors.js'
import type { TokensList, TokenView } from '../core/tokens.js'
import { checkText } from './text.js'

export interface TokensAdmin extends Pick<TokensList, 'list'> {
  /** @throws GatehouseError `token_unknown` */
  get(id: string): Promise<TokenView>
}

export function createTokensAdmin(tokens: TokensList): TokensAdmin {
  return {
    list: (request) => tokens.list(request),
    async get(id) {
      checkText(id)
      const token = await tokens.byId(id)
      if (token === undefined) throw tokenUnknown(id)
      return token
    },
  }
}

export function tokenUnknown(id: string): GatehouseError {
  return new GatehouseError('token_unknown', {
    detail: `there is no token ${id}`,
    remedy: 'gatehouse tokens list shows them. A token is named by its id (tok_...), never by itself.',
  })
}
