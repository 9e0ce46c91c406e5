// The port through which a re-evaluation reads accounts and their groups from Entra ID, without a sign-in of the user.
import type { GatehouseError } from './errors.js'

/** A user with an account in Entra ID. */
export interface EntraUser {
  readonly userId: string
  readonly username: string
  /** Object ID of the account. */
  readonly oid: string
}

/** What Graph answered about one account. */
export type AccountResult =
  | EnabledAccount
  | { readonly kind: 'disabled' }
  /** Graph found no such account in this request. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed', readonly error: GatehouseError }

export interface EnabledAccount {
  readonly kind: 'enabled'
  readonly groupIds: readonly string[]
  /** ISO 8601: id tokens issued earlier are void; null where Graph has no such time. */
  readonly sessionsValidFrom: string | null
  /** Undefined where Graph's answer has no UPN. */
  readonly upn?: string | undefined
}

export interface AccountSource {
  /** The largest number of accounts in one request. */
  readonly batchSize: number
  /**
   * @param oids object IDs, at most `batchSize`
   * @returns one result for each
   * @throws GatehouseError `graph_*`, `entra_*` where the whole request failed
   */
  read(oids: readonly string[], correlationId: string): Promise<ReadonlyMap<string, AccountResult>>
}
