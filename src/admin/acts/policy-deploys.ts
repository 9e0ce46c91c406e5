// Acts that deploy a policy: a draft, or an earlier version. What the administrator has seen, and their rights, are
// compared before the replicas try it and again in the transaction that adds the version.
import type { Acting } from '../../core/acts.js'
import { requireMayDeploy } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import { requireApprovals, usersOf, type PolicyApproval } from '../../core/policy-approval.js'
import type { NewDeployment, PolicyDeployments } from '../../core/policy-version.js'
import { changeOf, type ChangeOfPolicy } from '../policy-approvals.js'
import type { Deployed, PolicyDeploysAdmin } from '../policy-deploys.js'
import { requirePreview } from '../kept-previews.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'
import {
  countedApprovals,
  draftSeen,
  requireDatabase,
  usableVersion,
  type ApprovalActsDeps,
  type ApprovalsToCount,
} from './policy-approvals.js'

export interface RollbackRequest {
  readonly message: string
  /** Number of the version that it replaces, which the administrator has seen in force. */
  readonly onto: number
  /** Names of replicas that are left out. */
  readonly without?: readonly string[] | undefined
  /** `no superuser`: typed. */
  readonly confirm?: string | undefined
  /** `now`: everybody with an active session is mapped anew, by a replica that takes it up. */
  readonly apply?: 'now' | 'sign-in' | undefined
}

export interface DeployRequest extends RollbackRequest {
  /** Hash of the preview that was seen. */
  readonly preview: string
}

export interface DeployActs {
  /**
   * The draft is gone afterwards: its text is the version.
   * @throws GatehouseError as PolicyDeploysAdmin.deploy; `policy_draft_unknown`, `policy_draft_unusable`,
   *   `policy_preview_stale`, `policy_approvals_missing`, `version_stale`, `above_own_rights`, `request_malformed`
   */
  deploy(draft: string, asked: DeployRequest, acting: Acting): Promise<Deployed>
  /** @throws GatehouseError as `deploy`; `policy_version_unknown`, `policy_version_unusable` */
  rollback(number: number, asked: RollbackRequest, acting: Acting): Promise<Deployed>
}

export interface DeployActsDeps extends ApprovalActsDeps {
  /** @param deploy in place of the transaction that adds the version */
  readonly deploysBy: (deploy: PolicyDeployments['deploy']) => Pick<PolicyDeploysAdmin, 'deploy'>
}

const RULES = { permission: 'gatehouse.policy', inTurn: true, inPolicyTurn: true } as const
const BEFORE = { permission: 'gatehouse.policy', inTurn: false } as const

export function createDeployActs(deps: DeployActsDeps): DeployActs {
  return {
    async deploy(id, asked, acting) {
      checkText(id, asked.message, ...asked.without ?? [])
      requireDatabase(deps)
      requireTypedByUser(asked, acting)
      const { text } = await deps.drafts.get(id)
      const { policy } = await deps.drafts.judge(text)
      if (policy === undefined) throw new GatehouseError('policy_draft_unusable')
      return await deployText({ text, hash: policy.hash, asked, acting, check: ofDraft(id, text, asked) }, deps)
    },
    async rollback(number, asked, acting) {
      checkText(asked.message, ...asked.without ?? [])
      requireDatabase(deps)
      return await deployText({ ...await usableVersion(number, deps), asked, acting, check: ofVersion(number) }, deps)
    },
  }
}

/** A program types nothing. */
function requireTypedByUser({ confirm }: RollbackRequest, { admin }: Acting): void {
  if (confirm === undefined || admin?.tokenId === undefined) return // guard: token-no-confirmation
  throw new GatehouseError('not_by_token', { detail: 'an API token has sent a confirmation' })
}

/** What is compared in the transaction, which approvals count, and what the audit row then has. */
interface Check {
  (context: ActContext, change: ChangeOfPolicy): Promise<Checked>
}

interface Checked extends Omit<ApprovalsToCount, 'change'> {
  readonly detail: Readonly<Record<string, unknown>>
}

interface TextToDeploy {
  readonly text: string
  readonly hash: string
  readonly asked: RollbackRequest & Partial<DeployRequest>
  readonly acting: Acting
  readonly check: Check
}

async function deployText(
  { text, hash, asked, acting, check }: TextToDeploy,
  { transaction, versions, needed, deploysBy }: DeployActsDeps,
): Promise<Deployed> {
  const change = await changeOf({ text, hash }, asked.onto, versions)
  const checked = async (context: ActContext): Promise<Readonly<Record<string, unknown>>> => {
    await context.unit.policy.requireOnto(change.onto)
    const { detail, ...known } = await check(context, change)
    const permissions = await context.unit.policy.consolePermissions()
    const approvals = await countedApprovals({ ...known, change }, permissions, context)
    requireWithinCeiling(change, { approvals, permissions }, context)
    requireApprovals(approvals.length, needed)
    const by = approvals.map(({ approverId }) => `admin:${approverId}`)
    return { ...detail, ...by.length === 0 ? {} : { approvals: by } }
  }
  await perform(transaction, acting, BEFORE, checked) // before the replicas load it
  return await deploysBy((deployment) =>
    perform(transaction, acting, RULES, async (context) => {
      const detail = await checked(context)
      return await deployWithin(deployment, detail, context)
    })
  ).deploy(text, asked, acting)
}

/** A superuser who has approved the change answers for it, but not for a program: it changes no superuser. */
function requireWithinCeiling(
  { gains }: ChangeOfPolicy,
  { approvals, permissions }: {
    readonly approvals: readonly PolicyApproval[]
    readonly permissions: ReadonlyMap<string, readonly string[]>
  },
  { holder, acting }: ActContext,
): void {
  const isOfUser = acting.admin?.tokenId === undefined // guard: policy-approval-by-token
  if (isOfUser && approvals.some((approval) => approval.holder?.isSuperuser)) return // guard: policy-approval-superuser
  requireMayDeploy(holder, gains, (group) => permissions.get(group) ?? []) // guard: policy-act-ceiling
}

async function deployWithin(
  deployment: NewDeployment,
  { draft, ...detail }: Readonly<Record<string, unknown>>,
  { unit, rowOf }: ActContext,
): Promise<number> {
  const ofDraft = typeof draft === 'string' ? { draft } : {}
  const row = rowOf({ action: 'policy.deployed', detail: { ...deployment.detail, ...ofDraft, ...detail } })
  const number = await unit.policy.deploy({ ...deployment, detail: row.detail })
  if (typeof draft === 'string') await unit.drafts.remove(draft)
  return number
}

function ofDraft(id: string, text: string, { preview }: DeployRequest): Check {
  return async (context, { textHash, policyHash }) => {
    const { editors } = await draftSeen(id, text, context)
    const key = { draftHash: textHash, policyHash }
    const { losses } = requirePreview(await context.unit.policy.previewsOf(id), key, preview)
    if (losses > 0 && context.acting.reason === undefined) throw reasonMissing(losses) // guard: policy-act-reason
    return { detail: { draft: id }, target: { draft: id }, preview, excluded: usersOf(editors) }
  }
}

/** Who rolls back is the author of the change. */
function ofVersion(number: number): Check {
  return async ({ acting }) => {
    const excluded = usersOf([acting.actor]) // guard: policy-rollback-approver
    return { detail: { rollback: number }, target: { version: number }, preview: null, excluded }
  }
}

function reasonMissing(losses: number): GatehouseError {
  return new GatehouseError('request_malformed', {
    sentence: `${losses} ${losses === 1 ? 'user loses a right' : 'users lose rights'} by this: give a reason.`,
  })
}
