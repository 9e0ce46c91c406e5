// Approvals of a deploy or a rollback by other administrators. Each is of the text and of the version in force that the
// approver has seen, and of the preview; it counts as long as all of them are the same. Pure:
// src/admin/acts/policy-approvals.ts gives them, acts/policy-deploys.ts counts them.
import { adminPermissions } from './admin-permissions.js'
import type { Holdings } from './ceiling.js'
import { GatehouseError } from './errors.js'

/** What an approval is of. */
export interface ApprovedChange {
  /** SHA-256 of the canonical form of the draft, or of the earlier version. */
  readonly textHash: string
  /** The version in force that it is compared with. */
  readonly policyHash: string
  readonly onto: number
  /** Hash of the preview of a draft; null: of a rollback, which has none. */
  readonly preview: string | null
}

export type ApprovalTarget = { readonly draft: string } | { readonly version: number }

export interface PolicyApproval extends ApprovedChange {
  readonly approverId: string
  readonly approverName: string
  /** ISO 8601. */
  readonly at: string
  /** What the approver holds at this moment; null: the user is inactive. */
  readonly holder: Holdings | null
}

export interface PolicyApprovals {
  /** In the order in which they were given. */
  of(target: ApprovalTarget): Promise<readonly PolicyApproval[]>
}

/** Why an approval does not count. */
export type ApprovalState = 'counts' | 'text_changed' | 'policy_changed' | 'preview_changed' | 'editor' | 'rights_lost'

export interface ApprovalRules {
  /** Undefined hashes are those of nothing. */
  readonly change: { readonly [Key in keyof ApprovedChange]: ApprovedChange[Key] | undefined }
  /** Ids of users whose approval does not count: who has edited the draft, or rolls back. */
  readonly excluded: ReadonlySet<string>
  /** Whether these rights are enough to deploy the change (ceiling.ts). */
  readonly mayDeploy: (holder: Holdings) => boolean
}

export function approvalState(
  { textHash, policyHash, onto, preview, approverId, holder }: PolicyApproval,
  { change, excluded, mayDeploy }: ApprovalRules,
): ApprovalState {
  if (textHash !== change.textHash) return 'text_changed' // guard: policy-approval-text
  if (policyHash !== change.policyHash || onto !== change.onto) return 'policy_changed' // guard: policy-approval-onto
  if (preview !== change.preview) return 'preview_changed' // guard: policy-approval-preview
  if (excluded.has(approverId)) return 'editor' // guard: policy-approval-editor
  const isAllowed = holder !== null && adminPermissions(holder).has('gatehouse.policy') && mayDeploy(holder)
  return isAllowed ? 'counts' : 'rights_lost' // guard: policy-approval-rights
}

/** @throws GatehouseError `policy_approvals_missing`, which says how many */
export function requireApprovals(given: number, needed: number): void {
  const missing = needed - given
  if (missing <= 0) return // guard: policy-approvals-counted
  throw new GatehouseError('policy_approvals_missing', {
    sentence: `${missing} more ${missing === 1 ? 'approval is' : 'approvals are'} needed (admin.approvals: ${needed}).`,
    detail: `${given} of ${needed} approvals count`,
    facts: { missing },
  })
}

/** Users among actors of the audit record (`admin:<user id>`). */
export function usersOf(actors: readonly string[]): ReadonlySet<string> {
  return new Set(actors.flatMap((actor) => actor.startsWith(ACTOR) ? [actor.slice(ACTOR.length)] : []))
}

const ACTOR = 'admin:'
