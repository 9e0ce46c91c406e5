// Approvals of drafts and of rollbacks (core/policy-approval.ts), each with what its approver holds at this moment.
import { sql, type SQL } from 'drizzle-orm'
import type { Holdings } from '../core/ceiling.js'
import type { ApprovalTarget, ApprovedChange, PolicyApproval, PolicyApprovals } from '../core/policy-approval.js'
import { adminRights } from './admin-sessions.js'
import type { Database, Drizzle, Transaction } from './database.js'

type Row = Omit<PolicyApproval, 'holder'> & Holdings & { readonly isActive: boolean } & Record<string, unknown>

export function createPolicyApprovals(database: Database): PolicyApprovals {
  return { of: (target) => database.ask((db) => read(db, target, sql``)) }
}

/** Locked, with the approvers: their rights are not taken away before this transaction ends. */
export function lockedApprovals(tx: Transaction, target: ApprovalTarget): Promise<readonly PolicyApproval[]> {
  return read(tx, target, sql`for share of a, u`)
}

async function read(
  on: Drizzle | Transaction,
  target: ApprovalTarget,
  lock: SQL,
): Promise<readonly PolicyApproval[]> {
  const { rows } = await on.execute<Row>(sql`
    select a.approver as "approverId", u.username as "approverName", to_json(a.at) #>> '{}' as at,
      a.text_hash as "textHash", a.policy_hash as "policyHash", a.onto, a.preview, u.is_active as "isActive",
      ${adminRights}
    from policy_approvals a join users u on u.id = a.approver
    where ${'draft' in target ? sql`a.draft = ${target.draft}` : sql`a.version = ${target.version}`}
    order by a.at, a.id ${lock}`)
  return rows.map(({ isActive, isStaff, isSuperuser, permissions, ...approval }) => ({
    ...approval,
    holder: isActive ? { isStaff, isSuperuser, permissions } : null, // guard: policy-approver-active
  }))
}

/** One of each approver: a later one takes the place of an earlier one. */
export async function addApproval(
  tx: Transaction,
  target: ApprovalTarget,
  approverId: string,
  { textHash, policyHash, onto, preview }: ApprovedChange,
): Promise<void> {
  const [draft, version, name] = 'draft' in target
    ? [target.draft, null, sql`policy_approvals_draft`]
    : [null, target.version, sql`policy_approvals_version`]
  await tx.execute(sql`
    insert into policy_approvals (draft, version, approver, text_hash, policy_hash, onto, preview)
    values (${draft}, ${version}, ${approverId}, ${textHash}, ${policyHash}, ${onto}, ${preview})
    on conflict on constraint ${name} do update set text_hash = excluded.text_hash,
      policy_hash = excluded.policy_hash, onto = excluded.onto, preview = excluded.preview, at = clock_timestamp()`)
}

/** With each deploy: all of them were compared with the version that it replaces. */
export async function dropApprovals(tx: Transaction): Promise<void> {
  await tx.execute(sql`delete from policy_approvals`)
}
