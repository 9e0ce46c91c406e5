// Acts that deploy a policy: a draft, or an earlier version. What the administrator has seen, and their rights, are
// compared before the replicas try it and again in the transaction that adds the version.
import type { Acting, ActTransaction } from '../../core/acts.js'
import { requireMayDeploy } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import { draftVersion, type DraftPolicy, type PolicyDraft } from '../../core/policy-draft.js'
import { gainsOfPolicy, type PolicyGains } from '../../core/policy-gains.js'
import type { NewDeployment, PolicyDeployments, PolicyVersions } from '../../core/policy-version.js'
import { requireVersion } from '../../core/version-tag.js'
import { sourceIsFile, type Deployed, type PolicyDeploysAdmin } from '../policy-deploys.js'
import { draftUnknown, type PolicyDraftsAdmin } from '../policy-drafts.js'
import { requirePreview } from '../policy-preview.js'
import { knownVersion, policyValues } from '../policy-versions.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

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
   *   `policy_preview_stale`, `version_stale`, `above_own_rights`, `request_malformed`
   */
  deploy(draft: string, asked: DeployRequest, acting: Acting): Promise<Deployed>
  /** @throws GatehouseError as `deploy`; `policy_version_unknown`, `policy_version_unusable` */
  rollback(number: number, asked: RollbackRequest, acting: Acting): Promise<Deployed>
}

export interface DeployActsDeps {
  readonly transaction: ActTransaction
  readonly source: 'file' | 'database'
  readonly drafts: Pick<PolicyDraftsAdmin, 'get' | 'judge'>
  readonly versions: Pick<PolicyVersions, 'get'>
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
      const draft = await deps.drafts.get(id)
      const { policy } = await deps.drafts.judge(draft.text)
      if (policy === undefined) throw new GatehouseError('policy_draft_unusable')
      return await deployText({ text: draft.text, asked, acting, check: ofDraft(draft, policy, asked) }, deps)
    },
    async rollback(number, asked, acting) {
      checkText(asked.message, ...asked.without ?? [])
      requireDatabase(deps)
      const { text } = await knownVersion(deps.versions, number)
      const { problems: [problem] } = await deps.drafts.judge(text)
      if (problem !== undefined) {
        throw new GatehouseError('policy_version_unusable', { detail: `${problem.path}: ${problem.message}` })
      }
      return await deployText({ text, asked, acting, check: ofVersion(number) }, deps)
    },
  }
}

function requireDatabase({ source }: DeployActsDeps): void {
  if (source === 'file') throw sourceIsFile() // guard: policy-act-source
}

/** A program types nothing. */
function requireTypedByUser({ confirm }: RollbackRequest, { admin }: Acting): void {
  if (confirm === undefined || admin?.tokenId === undefined) return // guard: token-no-confirmation
  throw new GatehouseError('not_by_token', { detail: 'an API token has sent a confirmation' })
}

/** What is compared in the transaction, and what the audit row then has. */
interface Check {
  (context: ActContext, replaced: string): Promise<Readonly<Record<string, unknown>>>
}

interface TextToDeploy {
  readonly text: string
  readonly asked: RollbackRequest & Partial<DeployRequest>
  readonly acting: Acting
  readonly check: Check
}

async function deployText(
  { text, asked, acting, check }: TextToDeploy,
  { transaction, versions, deploysBy }: DeployActsDeps,
): Promise<Deployed> {
  const { onto } = asked
  const replaced = await versions.get(onto)
  const gains = gainsOfPolicy(policyValues(replaced?.text ?? ''), policyValues(text))
  const checked = async (context: ActContext): Promise<Readonly<Record<string, unknown>>> => {
    await context.unit.policy.requireOnto(onto)
    await requireWithinCeiling(gains, context)
    return await check(context, replaced?.hash ?? '')
  }
  await perform(transaction, acting, BEFORE, checked) // before the replicas load it
  return await deploysBy((deployment) =>
    perform(transaction, acting, RULES, async (context) => {
      const detail = await checked(context)
      return await deployWithin(deployment, detail, context)
    })
  ).deploy(text, asked, acting)
}

async function requireWithinCeiling(gains: PolicyGains, { unit, holder }: ActContext): Promise<void> {
  const permissions = await unit.policy.consolePermissions()
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

function ofDraft({ id, text }: PolicyDraft, { hash }: DraftPolicy, { preview }: DeployRequest): Check {
  return async ({ unit, acting }, policyHash) => {
    const now = await unit.drafts.target(id)
    if (now === undefined) throw draftUnknown(id)
    requireVersion(acting.ifMatch, draftVersion(now))
    if (now.text !== text) throw new GatehouseError('version_stale')
    const key = { draftHash: hash, policyHash }
    const { losses } = requirePreview(await unit.policy.previewOf(id), key, preview)
    if (losses > 0 && acting.reason === undefined) throw reasonMissing(losses) // guard: policy-act-reason
    return { draft: id }
  }
}

function ofVersion(number: number): Check {
  return async () => ({ rollback: number })
}

function reasonMissing(losses: number): GatehouseError {
  return new GatehouseError('request_malformed', {
    sentence: `${losses} ${losses === 1 ? 'user loses a right' : 'users lose rights'} by this: give a reason.`,
  })
}
