// Approvals of deploys and rollbacks, for the console and its API: who has approved a draft or a version, and whether
// that counts. acts/policy-approvals.ts gives them.
import { mayDeploy, type Holdings } from '../core/ceiling.js'
import {
  approvalState,
  usersOf,
  type ApprovalRules,
  type ApprovalState,
  type ApprovalTarget,
  type PolicyApprovals,
} from '../core/policy-approval.js'
import { gainsOfPolicy, type PolicyGains } from '../core/policy-gains.js'
import type { PolicyVersions } from '../core/policy-version.js'
import type { PolicyDraftsAdmin } from './policy-drafts.js'
import type { PolicyPreviewAdmin } from './policy-preview.js'
import { knownVersion, policyValues } from './policy-versions.js'

export interface PolicyApprovalsAdmin {
  /** @throws GatehouseError `policy_draft_unknown` */
  ofDraft(id: string): Promise<ShownApprovals>
  /** Of a rollback to this version. @throws GatehouseError `policy_version_unknown` */
  ofVersion(number: number): Promise<ShownApprovals>
}

export interface ShownApprovals {
  /** admin.approvals */
  readonly needed: number
  readonly approvals: readonly ShownApproval[]
}

export interface ShownApproval {
  readonly approverId: string
  readonly approverName: string
  /** ISO 8601. */
  readonly at: string
  readonly state: ApprovalState
}

/** A text over the version that it replaces. */
export interface ChangeOfPolicy {
  readonly textHash: string
  readonly policyHash: string
  readonly onto: number
  readonly gains: PolicyGains
}

/** @param text a policy that was accepted, with its hash @param onto number of the version in force */
export async function changeOf(
  { text, hash }: { readonly text: string, readonly hash: string },
  onto: number,
  versions: Pick<PolicyVersions, 'get'>,
): Promise<ChangeOfPolicy> {
  const replaced = await versions.get(onto)
  const gains = gainsOfPolicy(policyValues(replaced?.text ?? ''), policyValues(text))
  return { textHash: hash, policyHash: replaced?.hash ?? '', onto, gains }
}

/** @param permissions of the console, by local group */
export function mayDeployChange(
  { gains }: Pick<ChangeOfPolicy, 'gains'>,
  permissions: ReadonlyMap<string, readonly string[]>,
): (holder: Holdings) => boolean {
  return (holder) => mayDeploy(holder, gains, (group) => permissions.get(group) ?? [])
}

export interface PolicyApprovalsPorts {
  readonly needed: number
  readonly approvals: PolicyApprovals
  readonly drafts: Pick<PolicyDraftsAdmin, 'get' | 'judge' | 'inForce'>
  readonly versions: Pick<PolicyVersions, 'get'>
  readonly previews: Pick<PolicyPreviewAdmin, 'last'>
  readonly consolePermissions: () => Promise<ReadonlyMap<string, readonly string[]>>
}

export function createPolicyApprovalsAdmin(ports: PolicyApprovalsPorts): PolicyApprovalsAdmin {
  const { needed, approvals, drafts, versions, previews } = ports
  const shown = async (
    target: ApprovalTarget,
    text: string,
    rest: Pick<ApprovalRules, 'excluded'> & { readonly preview: () => Promise<string | null | undefined> },
  ): Promise<ShownApprovals> => {
    const given = await approvals.of(target)
    if (given.length === 0) return { needed, approvals: [] }
    const rules = await rulesOf(text, rest, ports)
    return {
      needed,
      approvals: given.map((approval) => {
        const { approverId, approverName, at } = approval
        return { approverId, approverName, at, state: approvalState(approval, rules) }
      }),
    }
  }
  return {
    async ofDraft(id) {
      const { text, editors } = await drafts.get(id)
      const preview = async () => (await previews.last(id))?.result?.hash
      return await shown({ draft: id }, text, { excluded: usersOf(editors), preview })
    },
    async ofVersion(number) {
      const { text } = await knownVersion(versions, number)
      return await shown({ version: number }, text, { excluded: new Set(), preview: async () => null })
    },
  }
}

async function rulesOf(
  text: string,
  { excluded, preview }: Pick<ApprovalRules, 'excluded'> & {
    readonly preview: () => Promise<string | null | undefined>
  },
  { drafts, versions, consolePermissions }: PolicyApprovalsPorts,
): Promise<ApprovalRules> {
  const nothing = { textHash: undefined, policyHash: undefined, onto: undefined, preview: undefined }
  const { policy } = await drafts.judge(text)
  if (policy === undefined) return { change: nothing, excluded, mayDeploy: () => false }
  const onto = await drafts.inForce()
  if (onto === undefined) return { change: { ...nothing, textHash: policy.hash }, excluded, mayDeploy: () => false }
  const [change, permissions, seen] = await Promise.all([
    changeOf({ text, hash: policy.hash }, onto, versions),
    consolePermissions(),
    preview(),
  ])
  return { change: { ...change, preview: seen }, excluded, mayDeploy: mayDeployChange(change, permissions) }
}
