// Counts and ranks what a preview finds: who gains and loses which rights, of all users, a page at a time.
import { createHash } from 'node:crypto'
import { createChangeRanking, type RightCount, type UserChange } from '../core/change-ranking.js'
import { changeOfRights, isChange, rightsFrom } from '../core/explain.js'
import { createGroupMapping } from '../core/mapping.js'
import type { DraftPolicy } from '../core/policy-draft.js'
import {
  MOST_COUNTED,
  MOST_NAMED,
  MOST_PREVIEWED,
  type ChangeCounts,
  type PreviewedSnapshot,
  type PreviewedUser,
  type PreviewKey,
  type PreviewResult,
} from '../core/policy-preview.js'
import type { LocalGroups } from '../core/policy.js'
import { existingGroups } from './local-groups.js'
import type { PolicyPreviewPorts } from './policy-preview.js'

export function entraGroupsOf({ groupMapping }: Pick<DraftPolicy, 'groupMapping'>): readonly string[] {
  return groupMapping.map(({ entraGroup }) => entraGroup)
}

/** How many users gain and lose a right by a mapping, as a preview counts them. */
export async function countChanges(
  groupMapping: DraftPolicy['groupMapping'],
  { localGroups, snapshots }: Pick<PolicyPreviewPorts, 'localGroups' | 'snapshots'>,
): Promise<ChangeCounts> {
  const key = { draftHash: '', policyHash: '', isLive: false }
  const collected = await createCollector({ groupMapping }, key, localGroups)
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

export async function createCollector(
  { groupMapping }: Pick<DraftPolicy, 'groupMapping'>,
  { draftHash, policyHash, isLive }: PreviewKey & { readonly isLive: boolean },
  localGroups: LocalGroups,
): Promise<Collector> {
  const mapping = createGroupMapping(groupMapping)
  const existing = await existingGroups(localGroups, [...new Set(groupMapping.flatMap(({ groups }) => groups))])
  const ranking = createChangeRanking<UserToPreview>(MOST_PREVIEWED)
  const hash = createHash('sha256').update(JSON.stringify([draftHash, policyHash]))
  const totals = { users: 0, unavailable: 0, gains: 0, losses: 0, newSuperusers: 0 }
  let oldest: string | null = null
  let newest: string | null = null
  return {
    add({ userId, username, readAt, entraGroupIds, ...before }) {
      totals.users++
      if (entraGroupIds === undefined) {
        totals.unavailable++
        return // they cannot sign in
      }
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
      live: isLive,
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
