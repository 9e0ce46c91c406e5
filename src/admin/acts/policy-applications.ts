// The act that applies the version of the policy in force to everybody with an active session. A replica does it
// (policy-apply.ts); the act asks for it.
import type { Acting, ActTransaction } from '../../core/acts.js'
import { requireDatabase, type ApprovalActsDeps } from './policy-approvals.js'
import { perform } from './perform.js'

export interface ApplicationActs {
  /**
   * One that is under way goes on; one that has ended begins again.
   * @param number of the version that was seen in force
   * @throws GatehouseError `policy_source_file`, `policy_changed`
   */
  apply(number: number, acting: Acting): Promise<void>
}

export interface ApplicationActsDeps extends Pick<ApprovalActsDeps, 'source'> {
  readonly transaction: ActTransaction
}

/**
 * What it gives and takes was decided when the version was deployed, and is given at each sign-in: the rights of the
 * one who deployed it were compared then.
 */
const RULES = { permission: 'gatehouse.policy', inTurn: false } as const

export function createApplicationActs({ transaction, source }: ApplicationActsDeps): ApplicationActs {
  return {
    async apply(number, acting) {
      requireDatabase({ source })
      await perform(transaction, acting, RULES, async ({ unit, record }) => {
        await unit.policy.requireOnto(number) // guard: policy-apply-in-force
        const { actor, correlationId } = acting
        await unit.policy.apply(number, { actor, correlationId })
        await record({ action: 'policy.apply', detail: { version: number } })
      })
    },
  }
}
