// Drafts of the policy for the console and its API: the list, one draft with what is wrong with it, and what differs
// from a version. acts/policy-drafts.ts changes them.
import { GatehouseError } from '../core/errors.js'
import type { Page, PageRequest } from '../core/page.js'
import { versionName, type PolicyVersions, type VersionDetails } from '../core/policy-version.js'
import type { DraftCursor, DraftJudgement, DraftSummary, PolicyDraft, PolicyDrafts } from '../core/policy-draft.js'
import { changesBetween, knownVersion, patchBetween, type PolicyChange } from './policy-versions.js'
import { checkText } from './text.js'

/** Whether the draft begins from another policy than the one in force. */
export interface Staleness {
  readonly isStale: boolean
}

export interface PolicyDraftsAdmin {
  /** Where the policy is: in the file, a draft becomes it by hand. */
  readonly source: 'file' | 'database'
  /** The one that was changed last first. */
  list(page: PageRequest<DraftCursor>): Promise<Page<DraftSummary & Staleness, DraftCursor>>
  /** @throws GatehouseError `policy_draft_unknown` */
  get(id: string): Promise<PolicyDraft & Staleness>
  /** As if the text stood in the configuration in force. */
  judge(text: string): Promise<DraftJudgement>
  /** Number of the version in force; undefined: it is not recorded yet. */
  inForce(): Promise<number | undefined>
  /**
   * What the draft changes of the version that it began from, or of the version in force.
   * @throws GatehouseError `policy_draft_unknown`, `policy_version_unknown`
   */
  diff(id: string, against: DraftBase): Promise<DraftDiff>
}

export type DraftBase = 'base' | 'inForce'

export interface DraftDiff {
  /** Number of the version. */
  readonly version: number
  /** What differs in meaning; undefined: the draft cannot be used. */
  readonly changes: readonly PolicyChange[] | undefined
  /** Unified diff of the texts; undefined: they differ in so much that it takes too long. */
  readonly patch: string | undefined
}

export interface PolicyDraftsPorts {
  readonly source: 'file' | 'database'
  readonly drafts: PolicyDrafts
  readonly versions: Pick<PolicyVersions, 'get'>
  /** Number of the version in force, also where this replica does not run it yet; undefined: it is not recorded yet. */
  readonly inForce: () => Promise<number | undefined>
  readonly judge: (text: string) => Promise<DraftJudgement>
  /** Hash of the policy in force. */
  readonly policyHash: () => string
}

export function createPolicyDraftsAdmin(ports: PolicyDraftsPorts): PolicyDraftsAdmin {
  const { source, drafts, versions, inForce, judge, policyHash } = ports
  const withStaleness = <Draft extends DraftSummary>(draft: Draft): Draft & Staleness => ({
    ...draft,
    isStale: draft.baseHash !== policyHash(),
  })
  const get = async (id: string): Promise<PolicyDraft & Staleness> => {
    checkText(id)
    const draft = await drafts.byId(id)
    if (draft === undefined) throw draftUnknown(id)
    return withStaleness(draft)
  }
  return {
    source,
    get,
    judge,
    inForce,
    async list(page) {
      const { rows, next } = await drafts.list(page)
      return { rows: rows.map(withStaleness), next }
    },
    async diff(id, against) {
      const draft = await get(id)
      return await diffOf(await knownVersion(versions, against === 'base' ? draft.base : await inForce()), draft, ports)
    },
  }
}

async function diffOf(
  { number, text: before }: VersionDetails,
  { id, text: after }: PolicyDraft,
  { judge }: PolicyDraftsPorts,
): Promise<DraftDiff> {
  // Only of a text that was accepted is it known that its aliases do not multiply.
  const isUsable = (await judge(after)).policy !== undefined // guard: policy-draft-aliases
  return {
    version: number,
    changes: isUsable ? changesBetween(before, after) : undefined,
    patch: patchBetween({ name: versionName(number), text: before }, { name: `draft ${id}`, text: after }),
  }
}

export function draftUnknown(id: string): GatehouseError {
  return new GatehouseError('policy_draft_unknown', {
    detail: `there is no draft ${id}`,
    remedy: 'It was deleted, or was not changed for 90 days.',
  })
}
