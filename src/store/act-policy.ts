// What acts that deploy a policy read and change, in the transaction of the act (act-unit.ts).
import { sql } from 'drizzle-orm'
import type { PolicyUnit } from '../core/acts.js'
import type { Transaction } from './database.js'
import { addApplication } from './policy-applications.js'
import { addApproval, lockedApprovals } from './policy-approvals.js'
import { deployedIn, deployWithin, requireOnto } from './policy-deployments.js'
import { previewsOf } from './policy-previews.js'
import { takePolicyTurn } from './policy-versions.js'

export function policyUnit(tx: Transaction): PolicyUnit {
  return {
    takeTurn: () => takePolicyTurn(tx),
    async requireOnto(onto) {
      requireOnto(await deployedIn(tx), onto)
    },
    consolePermissions: () => consolePermissions(tx),
    previewsOf: (draft) => previewsOf(tx, draft),
    approvals: (target) => lockedApprovals(tx, target),
    approve: (target, approverId, change) => addApproval(tx, target, approverId, change),
    apply: (version, asked) => addApplication(tx, version, asked),
    deploy: (deployment) => deployWithin(tx, deployment),
  }
}

/** Permissions of the console by the name of the local group that has them. */
export async function consolePermissions(
  on: Pick<Transaction, 'execute'>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await on.execute<{ name: string, permissions: readonly string[] }>(sql`
    select g.name, array_agg(p.permission order by p.permission) as permissions
    from groups g join group_permissions p on p.group_id = g.id where p.permission like 'gatehouse.%'
    group by g.name`)
  return new Map(rows.map(({ name, permissions }) => [name, permissions]))
}
