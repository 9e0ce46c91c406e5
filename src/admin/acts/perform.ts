// What every act does: one transaction in which the rights of the administrator are read again, the change is made, and
// its audit row is written. docs/decisions/admin-acts.md has the order of all checks.
import type { Acting, ActRow, ActTransaction, ActUnit } from '../../core/acts.js'
import type { AdminPermission } from '../../core/admin-permissions.js'
import { HOLDS_EVERYTHING, requirePermission, type Holdings } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import { byOf } from '../viewer.js'

export interface ActRules {
  readonly permission: AdminPermission
  /**
   * One such act after the other, so that two administrators cannot take away each other's rights. False only
   * where an act changes no rights.
   */
  readonly inTurn: boolean
  /**
   * It waits for what is being written by the version of the policy in force, before it locks anything: those
   * transactions hold this turn, and wait for rows of users.
   */
  readonly inPolicyTurn?: boolean
}

/** What an act did, for its audit row. Where nothing changed there is no row. */
export interface ActDone {
  readonly action: string
  readonly userId?: string | undefined
  readonly username?: string | undefined
  readonly before?: unknown
  readonly after?: unknown
  readonly detail?: Readonly<Record<string, unknown>>
}

export interface ActContext {
  readonly unit: ActUnit
  /** Of the administrator, at this moment. */
  readonly holder: Holdings
  readonly acting: Acting
  /** Writes the audit row. */
  record(done: ActDone): Promise<void>
  /** The same as `record`, for changes that write their rows themselves. */
  rowOf(done: ActDone): ActRow
}

/**
 * @throws GatehouseError `admin_sign_in_required` (the session of the console has ended meanwhile),
 *   `admin_token_invalid` (the token has), `not_allowed`, and what the work throws: then nothing has changed
 */
export async function perform<Result>(
  transaction: ActTransaction,
  acting: Acting,
  { permission, inTurn, inPolicyTurn = false }: ActRules,
  work: (context: ActContext) => Promise<Result>,
): Promise<Result> {
  return await transaction(async (unit) => {
    if (inPolicyTurn) await unit.policy.takeTurn() // guard: policy-act-turn-first
    if (inTurn) await unit.takeTurn()
    const holder = acting.admin === undefined ? HOLDS_EVERYTHING : await unit.holdingsOf(acting.admin)
    if (holder === undefined) throw new GatehouseError(goneOf(acting))
    requirePermission(holder, permission)
    return await work({
      unit,
      holder,
      acting,
      record: (done) => unit.record(rowOf(done, acting)),
      rowOf: (done) => rowOf(done, acting),
    })
  })
}

/** What has ended meanwhile. */
function goneOf({ admin }: Acting): 'admin_sign_in_required' | 'admin_token_invalid' {
  return admin?.tokenId === undefined ? 'admin_sign_in_required' : 'admin_token_invalid'
}

function rowOf({ action, userId, username, before, after, detail }: ActDone, acting: Acting): ActRow {
  const { actor, admin, correlationId, reason } = acting
  return {
    action,
    actor,
    userId,
    username,
    correlationId,
    detail: {
      ...before === undefined ? {} : { before },
      ...after === undefined ? {} : { after },
      ...detail,
      ...reason === undefined ? {} : { reason },
      ...admin === undefined ? {} : { by: byOf(admin) },
    },
  }
}
