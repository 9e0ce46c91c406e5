// Previews of drafts of the policy: who gains and loses which rights by their last snapshots or by what Graph has now
// (live-preview.ts), and which requests of the last day would be decided otherwise. All users and requests are read in
// batches while other requests are answered; one preview of a kind at a time in a process.
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import type { DraftPolicy } from '../core/policy-draft.js'
import {
  type DraftPreviews,
  type PolicyPreview,
  type PolicyPreviews,
  type PreviewedSnapshot,
  type PreviewEnd,
  type PreviewKey,
} from '../core/policy-preview.js'
import type { LocalGroups } from '../core/policy.js'
import { liveDuration, type LivePreviewRun } from './live-preview.js'
import { draftUnknown, type PolicyDraftsAdmin } from './policy-drafts.js'
import { begunOf, draftPreviews, keptAnswer, lastOf } from './kept-previews.js'
import { createCollector, entraGroupsOf } from './preview-collector.js'
import { compareRequests, type SampledRequests } from './request-comparison.js'

export interface PolicyPreviewAdmin {
  /**
   * Starts one, or returns the one of its kind that is under way or was made within some minutes.
   * @param live by the groups that Graph has now, for this actor of the audit record; otherwise by the stored snapshots
   * @throws GatehouseError `policy_draft_unknown`, `policy_draft_unusable`, `rate_limited`; of a live one
   *   `live_preview_busy`, `graph_throttled`
   */
  start(draft: string, live?: { readonly actor: string }): Promise<PolicyPreview>
  /** Both kinds, as far as they are of the text and of the policy in force as they are now. */
  ofDraft(draft: string): Promise<DraftPreviews>
  /** Of both kinds the one that was finished last: a deploy and an approval need it. Undefined: there is none. */
  last(draft: string): Promise<PolicyPreview | undefined>
  /** What a live preview costs. */
  liveCost(): Promise<LiveCost>
  /** Ends those under way. */
  close(): Promise<void>
}

export interface LiveCost {
  /** About how many users are read. */
  readonly users: number
  /** About how long it takes. */
  readonly durationMs: number
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
  /** @throws GatehouseError `live_preview_busy`, `graph_throttled` */
  readonly beginLive: (actor: string) => Promise<LiveRun>
  /** Undefined: no requests are sampled. */
  readonly sampled: () => SampledRequests | undefined
  /** Of a run that has failed. */
  readonly failed: (error: unknown) => void
}

/** Reads the groups of all active users from Graph. */
export interface LiveRun extends Pick<LivePreviewRun, 'stop' | 'close'> {
  readonly snapshots: () => AsyncIterable<readonly PreviewedSnapshot[]>
}

const PROGRESS_MS = 500
/** However long a page of users takes. */
const BEAT_MS = 5_000

export function createPolicyPreviewAdmin(ports: PolicyPreviewPorts): PolicyPreviewAdmin {
  const { drafts, previews, policyHash } = ports
  const runs = createRuns(ports)
  const judged = async (draft: string): Promise<Judged | undefined> => {
    const { text } = await drafts.get(draft)
    const { policy } = await drafts.judge(text)
    return policy && { draft, text, policy, key: { draftHash: policy.hash, policyHash: policyHash() } }
  }
  return {
    async start(draft, live) {
      const known = await judged(draft)
      if (known === undefined) throw new GatehouseError('policy_draft_unusable')
      const isLive = live !== undefined
      const kept = keptAnswer(await previews.byDraft(draft), known.key, isLive)
      if (kept !== undefined) return kept
      await runs.begin(known, live)
      const begun = begunOf(await previews.byDraft(draft), known.key, isLive)
      if (begun === undefined) throw busy() // another process has begun one of another text
      return begun
    },
    async ofDraft(draft) {
      const known = await judged(draft)
      if (known === undefined) return { stored: undefined, live: undefined }
      return draftPreviews(await previews.byDraft(draft), known.key)
    },
    async last(draft) {
      const known = await judged(draft)
      return known && lastOf(await previews.byDraft(draft), known.key)
    },
    async liveCost() {
      const users = await ports.countSnapshots()
      return { users, durationMs: liveDuration(users) }
    },
    close: () => runs.close(),
  }
}

/** Those of this process. Live ones are counted elsewhere: one runs in the installation. */
function createRuns(ports: PolicyPreviewPorts) {
  const runs = new Set<BegunRun>()
  let isBusy = false
  let isClosed = false
  const follow = (run: BegunRun, over: () => void): void => {
    runs.add(run)
    run.isOver.finally(() => {
      runs.delete(run)
      over()
    }).catch(() => {}) // it never rejects
    if (isClosed) run.stop()
  }
  return {
    async begin(known: Judged, live: { readonly actor: string } | undefined): Promise<void> {
      const isStored = live === undefined
      if ((isStored && isBusy) || isClosed) throw busy() // guard: policy-preview-once
      const over = (): void => {
        if (isStored) isBusy = false
      }
      if (isStored) isBusy = true
      try {
        follow(await beginRun(known, live, ports), over)
      } catch (error) {
        over()
        throw error
      }
    },
    async close(): Promise<void> {
      isClosed = true
      for (const run of runs) run.stop()
      await Promise.all([...runs].map(({ isOver }) => isOver))
    },
  }
}

interface BegunRun {
  /** Never rejects. */
  readonly isOver: Promise<void>
  stop(): void
}

interface Judged {
  readonly draft: string
  readonly text: string
  readonly policy: DraftPolicy
  readonly key: PreviewKey
}

function busy(): GatehouseError {
  return new GatehouseError('rate_limited', {
    detail: 'another preview is being made',
    remedy: 'Try again in a moment.',
  })
}

/** @throws GatehouseError `policy_draft_unknown`, `live_preview_busy`, `graph_throttled` */
async function beginRun(
  known: Judged,
  by: { readonly actor: string } | undefined,
  ports: PolicyPreviewPorts,
): Promise<BegunRun> {
  const { previews, snapshots, countSnapshots, beginLive } = ports
  const id = randomUUID()
  const total = await countSnapshots()
  const live = by === undefined ? undefined : await beginLive(by.actor)
  try {
    const preview = { ...known.key, live: live !== undefined, total }
    if (!await previews.begin(known.draft, id, preview)) throw draftUnknown(known.draft)
  } catch (error) {
    await live?.close()
    throw error
  }
  let isStopped = false
  const stop = (): void => {
    isStopped = true
    live?.stop()
  }
  const run = {
    id,
    ...known,
    isLive: live !== undefined,
    snapshots: () => live?.snapshots() ?? snapshots(entraGroupsOf(known.policy)),
    isStopped: () => isStopped,
    stop,
  }
  return { stop, isOver: runPreview(run, ports).finally(() => live?.close()) }
}

interface Run extends Judged {
  readonly id: string
  readonly isLive: boolean
  readonly snapshots: () => AsyncIterable<readonly PreviewedSnapshot[]>
  readonly isStopped: () => boolean
  stop(): void
}

/** Never rejects. */
async function runPreview(run: Run, ports: PolicyPreviewPorts): Promise<void> {
  const { id, policy, key, isLive, snapshots, isStopped } = run
  const { previews, localGroups, failed } = ports
  let done = 0
  let writtenAt = performance.now()
  const beat = setInterval(() => {
    beatOf(run, done, ports).catch(() => {}) // the next one tries again
  }, BEAT_MS).unref()
  /** @returns false: another run has taken the place of this one */
  const goesOn = async (): Promise<boolean> => {
    if (isStopped()) throw new GatehouseError('preview_interrupted')
    if (performance.now() - writtenAt < PROGRESS_MS) return true
    const isThere = await previews.progress(id, done)
    writtenAt = performance.now()
    return isThere
  }
  try {
    const collected = await createCollector(policy, { ...key, isLive }, localGroups)
    for await (const batch of snapshots()) {
      for (const snapshot of batch) collected.add(snapshot)
      done += batch.length
      if (!await goesOn()) return
    }
    const sample = ports.sampled()
    const sampled = sample === undefined ? null : await compareRequests(policy, sample, localGroups, goesOn)
    if (sampled !== undefined) await previews.end(id, done, { result: { ...collected.result(), sampled } })
  } catch (error) {
    failed(error)
    await previews.end(id, done, endOf(error)).catch(failed)
  } finally {
    clearInterval(beat)
  }
}

/** Between pages of users, of which one may take minutes. Nobody waits for a preview of another text, or policy. */
async function beatOf(
  { id, draft, text, key, stop }: Run,
  done: number,
  { previews, drafts, policyHash }: PolicyPreviewPorts,
): Promise<void> {
  await previews.progress(id, done)
  if (policyHash() !== key.policyHash || (await drafts.get(draft)).text !== text) stop() // guard: policy-preview-wanted
}

function endOf(error: unknown): PreviewEnd {
  if (!(error instanceof GatehouseError)) return { code: 'internal' }
  const { code, facts: { until } } = error
  return { code, until: typeof until === 'string' ? until : undefined }
}
