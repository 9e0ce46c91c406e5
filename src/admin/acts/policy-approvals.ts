// Acts that approve a deploy of a draft, or a rollback. The approver must be allowed to deploy it, and is never one of
// its editors. What they have seen and their rights are compared here, and again when it is deployed.
import type { Acting, ActTransaction } from '../../core/acts.js'
import { requireMayDeploy } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import {
  approvalState,
  usersOf,
  type ApprovalRules,
  type ApprovalTarget,
  type PolicyApproval,
} from '../../core/policy-approval.js'
import { draftVersion, type PolicyDraft } from '../../core/policy-draft.js'
import type { PolicyVersions } from '../../core/policy-version.js'
import { requireVersion } from '../../core/version-tag.js'
import { changeOf, mayDeployChange, type ChangeOfPolicy } from '../policy-approvals.js'
import { sourceIsFile } from '../policy-deploys.js'
import { draftUnknown, type PolicyDraftsAdmin } from '../policy-drafts.js'
import { requirePreview } from '../kept-previews.js'
import { knownVersion } from '../policy-versions.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

export interface RollbackApproval {
  /** Number of the version in force that was seen. */
  readonly onto: number
}

export interface DraftApproval extends RollbackApproval {
  /** Hash of the preview that was seen. */
  readonly preview: string
}

export interface ApprovalGiven {
  /** Approvals that count now, this one among them. */
  readonly given: number
  /** admin.approvals */
  readonly needed: number
}

export interface ApprovalActs {
  /**
   * @throws GatehouseError `policy_source_file`, `policy_draft_unknown`, `policy_draft_unusable`, `policy_own_draft`,
   *   `policy_preview_stale`, `policy_changed`, `version_stale`, `above_own_rights`
   */
  draft(id: string, seen: DraftApproval, acting: Acting): Promise<ApprovalGiven>
  /**
   * Of a rollback to this version.
   * @throws GatehouseError `policy_source_file`, `policy_version_unknown`, `policy_version_unusable`, `policy_changed`,
   *   `above_own_rights`
   */
  rollback(number: number, seen: RollbackApproval, acting: Acting): Promise<ApprovalGiven>
}

export interface ApprovalActsDeps {
  readonly transaction: ActTransaction
  readonly source: 'file' | 'database'
  /** admin.approvals */
  readonly needed: number
  readonly drafts: Pick<PolicyDraftsAdmin, 'get' | 'judge'>
  readonly versions: Pick<PolicyVersions, 'get'>
}

/** It gives no right: the deploy waits for its turn. */
const RULES = { permission: 'gatehouse.policy', inTurn: false } as const

export function createApprovalActs(deps: ApprovalActsDeps): ApprovalActs {
  const { transaction, versions } = deps
  return {
    async draft(id, { onto, preview }, acting) {
      checkText(id)
      requireDatabase(deps)
      const { text } = await deps.drafts.get(id)
      const { policy } = await deps.drafts.judge(text)
      if (policy === undefined) throw new GatehouseError('policy_draft_unusable')
      const change = await changeOf({ text, hash: policy.hash }, onto, versions)
      return await perform(transaction, acting, RULES, async (context) => {
        await context.unit.policy.requireOnto(onto)
        const { editors } = await draftSeen(id, text, context)
        const approverId = approverOf(acting)
        const excluded = usersOf(editors)
        if (excluded.has(approverId)) throw new GatehouseError('policy_own_draft') // guard: policy-approve-own
        const key = { draftHash: change.textHash, policyHash: change.policyHash }
        requirePreview(await context.unit.policy.previewsOf(id), key, preview)
        return await approve({ target: { draft: id }, approverId, change, preview, excluded }, context, deps)
      })
    },
    async rollback(number, { onto }, acting) {
      requireDatabase(deps)
      const { text, hash } = await usableVersion(number, deps)
      const change = await changeOf({ text, hash }, onto, versions)
      return await perform(transaction, acting, RULES, async (context) => {
        await context.unit.policy.requireOnto(onto)
        const given = { target: { version: number }, approverId: approverOf(acting), change, preview: null }
        return await approve({ ...given, excluded: new Set() }, context, deps)
      })
    },
  }
}

export function requireDatabase({ source }: Pick<ApprovalActsDeps, 'source'>): void {
  if (source === 'file') throw sourceIsFile() // guard: policy-act-source
}

/** @throws GatehouseError `policy_version_unknown`, `policy_version_unusable` */
export async function usableVersion(
  number: number,
  { drafts, versions }: Pick<ApprovalActsDeps, 'versions'> & { readonly drafts: Pick<PolicyDraftsAdmin, 'judge'> },
): Promise<{ readonly text: string, readonly hash: string }> {
  const { text } = await knownVersion(versions, number)
  const { problems: [problem], policy } = await drafts.judge(text)
  if (policy !== undefined) return { text, hash: policy.hash }
  const detail = problem === undefined ? {} : { detail: `${problem.path}: ${problem.message}` }
  throw new GatehouseError('policy_version_unusable', detail)
}

/**
 * Locks the draft.
 * @throws GatehouseError `policy_draft_unknown`, `version_stale`: it is not as the administrator has seen it
 */
export async function draftSeen(id: string, text: string, { unit, acting }: ActContext): Promise<PolicyDraft> {
  const now = await unit.drafts.target(id)
  if (now === undefined) throw draftUnknown(id)
  requireVersion(acting.ifMatch, draftVersion(now))
  if (now.text !== text) throw new GatehouseError('version_stale')
  return now
}

/** Programs and commands approve nothing (acts/gate.ts). */
function approverOf({ admin }: Acting): string {
  if (admin?.sessionId === undefined) throw new GatehouseError('not_by_token')
  return admin.userId
}

export interface ApprovalsToCount {
  readonly target: ApprovalTarget
  readonly change: ChangeOfPolicy
  readonly preview: string | null
  /** Whose approval does not count. */
  readonly excluded: ApprovalRules['excluded']
}

/**
 * Locked, so that what counts here counts until the transaction ends.
 * @param permissions of the console, by local group
 */
export async function countedApprovals(
  { target, change, preview, excluded }: ApprovalsToCount,
  permissions: ReadonlyMap<string, readonly string[]>,
  { unit: { policy } }: ActContext,
): Promise<readonly PolicyApproval[]> {
  const rules: ApprovalRules = {
    change: { ...change, preview },
    excluded,
    mayDeploy: mayDeployChange(change, permissions),
  }
  return (await policy.approvals(target)).filter((approval) => approvalState(approval, rules) === 'counts')
}

async function approve(
  given: ApprovalsToCount & { readonly approverId: string },
  context: ActContext,
  { needed }: ApprovalActsDeps,
): Promise<ApprovalGiven> {
  const { target, approverId, change: { gains, ...change }, preview } = given
  const { unit: { policy }, holder, record } = context
  const permissions = await policy.consolePermissions()
  requireMayDeploy(holder, gains, (group) => permissions.get(group) ?? []) // guard: policy-approve-ceiling
  await policy.approve(target, approverId, { ...change, preview })
  await record({
    action: 'policy.approved',
    detail: {
      ...'draft' in target ? target : { rollback: target.version },
      hash: change.textHash,
      replaced: change.onto,
      replacedHash: change.policyHash,
      ...preview === null ? {} : { preview },
    },
  })
  return { given: (await countedApprovals(given, permissions, context)).length, needed }
}
