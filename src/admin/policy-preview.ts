// Previews of drafts of the policy: who gains and loses which rights by their last snapshots, and which requests of the
// last day would be decided otherwise. All users and requests are read in batches while other requests are answered;
// one preview at a time in a process.
import { createHash, randomUUID } from 'node:crypto'
import { createChangeRanking, type RightCount, type UserChange } from '../core/change-ranking.js'
import { GatehouseError } from '../core/errors.js'
import { changeOfRights, isChange, rightsFrom } from '../core/explain.js'
import { createGroupMapping } from '../core/mapping.js'
import type { DraftPolicy } from '../core/policy-draft.js'
import {
  MOST_COUNTED,
  MOST_NAMED,
  MOST_PREVIEWED,
  type ChangeCounts,
  type KeptPreview,
  type PolicyPreview,
  type PolicyPreviews,
  type PreviewedSnapshot,
  type PreviewedUser,
  type PreviewKey,
  type PreviewResult,
} from '../core/policy-preview.js'
import type { LocalGroups } from '../core/policy.js'
import { existingGroups } from './local-groups.js'
import { draftUnknown, type PolicyDraftsAdmin } from './policy-drafts.js'
import { compareRequests, type SampledRequests } from './request-comparison.js'

export interface PolicyPreviewAdmin {
  /**
   * Starts one, or returns the one that is under way or was made within some minutes.
   * @throws GatehouseError `policy_draft_unknown`, `policy_draft_unusable`, `rate_limited`
   */
  start(draft: string): Promise<PolicyPreview>
  /** Undefined: there is none of the text and of the policy in force as they are now. */
  last(draft: string): Promise<PolicyPreview | undefined>
  /** Ends the one under way. */
  close(): Promise<void>
}

export interface PolicyPreviewPorts {
  readonly drafts: Pick<PolicyDraftsAdmin, 'get' | 'judge'>
  readonly previews: Omit<PolicyPreviews, 'countsOf'>
  /** Hash of the policy in force. */
  readonly policyHash: () => string
  readonly localGroups: LocalGroups
  /** All active users, in batches, in an order that stays. @param entraGroups those that matter */
  readonly snapshots: (entraGroups: readonly string[]) => AsyncIterable<readonly PreviewedSnapshot[]>
  readonly countSnapshots: () => Promise<number>
  /** Undefined: no requests are sampled. */
  readonly sampled: () => SampledRequests | undefined
  /** Of a run that has failed. */
  readonly failed: (error: unknown) => void
}

/** Within this time the same preview is not made again. */
const KEPT_MS = 5 * 60_000
/** An older one says too little about the users of now. */
const SHOWN_MS = 60 * 60_000
/** A process that writes nothing for so long does not run any more. */
const LOST_MS = 60_000
const PROGRESS_MS = 500

export function createPolicyPreviewAdmin(ports: PolicyPreviewPorts): PolicyPreviewAdmin {
  const { drafts, previews, policyHash } = ports
  let isBusy = false
  let isClosed = false
  let current: Promise<void> | undefined
  const judged = async (draft: string): Promise<Judged | undefined> => {
    const { policy } = await drafts.judge((await drafts.get(draft)).text)
    return policy && { policy, key: { draftHash: policy.hash, policyHash: policyHash() } }
  }
  return {
    async start(draft) {
      const known = await judged(draft)
      if (known === undefined) throw new GatehouseError('policy_draft_unusable')
      const kept = await keptPreview(draft, known.key, KEPT_MS, ports)
      if (kept !== undefined && kept.state !== 'failed') return kept
      if (isBusy || isClosed) throw busy() // guard: policy-preview-once
      isBusy = true
      try {
        const run = randomUUID()
        const total = await ports.countSnapshots()
        if (!await previews.begin(draft, run, { ...known.key, total })) throw draftUnknown(draft)
        current = runPreview(run, known, ports, () => isClosed).finally(() => {
          isBusy = false
        })
      } catch (error) {
        isBusy = false
        throw error
      }
      const begun = await keptPreview(draft, known.key, KEPT_MS, ports)
      if (begun === undefined) throw busy() // another process has begun one of another text
      return begun
    },
    async last(draft) {
      const known = await judged(draft)
      return known && await keptPreview(draft, known.key, SHOWN_MS, ports)
    },
    async close() {
      isClosed = true
      await current
    },
  }
}

interface Judged {
  readonly policy: DraftPolicy
  readonly key: PreviewKey
}

async function keptPreview(
  draft: string,
  key: PreviewKey,
  mostMs: number,
  { previews }: PolicyPreviewPorts,
): Promise<PolicyPreview | undefined> {
  return ofNow(await previews.byDraft(draft), key, mostMs)
}

/**
 * @param seen hash of the preview that the administrator has seen
 * @throws GatehouseError `policy_preview_stale`: it is not that of the draft and of the policy in force as they are
 */
export function requirePreview(found: KeptPreview | undefined, key: PreviewKey, seen: string): PreviewResult {
  const result = ofNow(found, key, SHOWN_MS)?.result
  if (result?.hash === seen) return result // guard: policy-preview-seen
  throw new GatehouseError('policy_preview_stale')
}

function ofNow(
  found: KeptPreview | undefined,
  { draftHash, policyHash }: PreviewKey,
  mostMs: number,
): PolicyPreview | undefined {
  // guard: policy-preview-of-now
  if (found === undefined || found.draftHash !== draftHash || found.policyHash !== policyHash) return undefined
  if (found.state === 'running' && found.ageMs > LOST_MS) {
    return { ...found, state: 'failed', code: 'preview_interrupted' }
  }
  return found.ageMs > mostMs ? undefined : found
}

function busy(): GatehouseError {
  return new GatehouseError('rate_limited', {
    detail: 'another preview is being made',
    remedy: 'Try again in a moment.',
  })
}

/** Never rejects. */
async function runPreview(
  run: string,
  { policy, key }: Judged,
  ports: PolicyPreviewPorts,
  isClosed: () => boolean,
): Promise<void> {
  const { previews, localGroups, snapshots, failed } = ports
  let done = 0
  let writtenAt = performance.now()
  /** @returns false: another run has taken the place of this one */
  const goesOn = async (): Promise<boolean> => {
    if (isClosed()) throw new GatehouseError('preview_interrupted')
    if (performance.now() - writtenAt < PROGRESS_MS) return true
    const isThere = await previews.progress(run, done)
    writtenAt = performance.now()
    return isThere
  }
  try {
    const collected = await createCollector(policy, key, localGroups)
    for await (const batch of snapshots(entraGroupsOf(policy))) {
      for (const snapshot of batch) collected.add(snapshot)
      done += batch.length
      if (!await goesOn()) return
    }
    const sample = ports.sampled()
    const sampled = sample === undefined ? null : await compareRequests(policy, sample, localGroups, goesOn)
    if (sampled !== undefined) await previews.end(run, done, { result: { ...collected.result(), sampled } })
  } catch (error) {
    failed(error)
    const code = error instanceof GatehouseError ? error.code : 'internal'
    await previews.end(run, done, { code }).catch(failed)
  }
}

function entraGroupsOf({ groupMapping }: Pick<DraftPolicy, 'groupMapping'>): readonly string[] {
  return groupMapping.map(({ entraGroup }) => entraGroup)
}

/** How many users gain and lose a right by a mapping, as a preview counts them. */
export async function countChanges(
  groupMapping: DraftPolicy['groupMapping'],
  { localGroups, snapshots }: Pick<PolicyPreviewPorts, 'localGroups' | 'snapshots'>,
): Promise<ChangeCounts> {
  const collected = await createCollector({ groupMapping }, { draftHash: '', policyHash: '' }, localGroups)
  for await (const batch of snapshots(entraGroupsOf({ groupMapping }))) {
    for (const snapshot of batch) collected.add(snapshot)
  }
  const { gains, losses } = collected.result()
  return { gains, losses }
}

interface UserToPreview extends UserChange {
  readonly userId: string
}

interface Collector {
  add(snapshot: PreviewedSnapshot): void
  /** The hash is over all of it, and over no request: other ones are sampled every minute, which changes no right. */
  result(): Omit<PreviewResult, 'sampled'>
}

async function createCollector(
  { groupMapping }: Pick<DraftPolicy, 'groupMapping'>,
  { draftHash, policyHash }: PreviewKey,
  localGroups: LocalGroups,
): Promise<Collector> {
  const mapping = createGroupMapping(groupMapping)
  const existing = await existingGroups(localGroups, [...new Set(groupMapping.flatMap(({ groups }) => groups))])
  const ranking = createChangeRanking<UserToPreview>(MOST_PREVIEWED)
  const hash = createHash('sha256').update(JSON.stringify([draftHash, policyHash]))
  const totals = { users: 0, gains: 0, losses: 0, newSuperusers: 0 }
  let oldest: string | null = null
  let newest: string | null = null
  return {
    add({ userId, username, readAt, entraGroupIds, ...before }) {
      totals.users++
      if (oldest === null || readAt < oldest) oldest = readAt
      if (newest === null || readAt > newest) newest = readAt
      const change = changeOfRights(before, rightsFrom(mapping, entraGroupIds, (name) => existing.has(name)))
      if (!isChange(change)) return
      hash.update(JSON.stringify([userId, change])) // guard: policy-preview-hash
      const { gained, lost, staff, superuser } = change
      if (gained.length > 0 || staff > 0 || superuser > 0) totals.gains++
      if (lost.length > 0 || staff < 0 || superuser < 0) totals.losses++
      if (superuser > 0) totals.newSuperusers++
      ranking.add({ userId, username, readAt, change })
    },
    result: () => ({
      hash: hash.copy().digest('hex'),
      ...totals,
      changed: ranking.changed,
      oldestReading: oldest,
      newestReading: newest,
      changes: ranking.gravest().map(previewed),
      counts: largest(ranking.counts()),
    }),
  }
}

function previewed({ userId, username, readAt, change }: UserToPreview): PreviewedUser {
  const { gained, lost, staff, superuser } = change
  return {
    userId,
    username,
    readAt,
    superuser,
    staff,
    gained: gained.slice(0, MOST_NAMED),
    lost: lost.slice(0, MOST_NAMED),
    moreGained: Math.max(0, gained.length - MOST_NAMED),
    moreLost: Math.max(0, lost.length - MOST_NAMED),
  }
}

/** In their order. */
function largest(counts: readonly RightCount[]): readonly RightCount[] {
  const kept = new Set([...counts].sort((a, b) => b.gain + b.lose - a.gain - a.lose).slice(0, MOST_COUNTED))
  return counts.filter((count) => kept.has(count))
}
