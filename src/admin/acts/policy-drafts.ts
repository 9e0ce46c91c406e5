// Acts on drafts of the policy. A draft is nothing but a text: it gives no user a right until it is the policy.
import { createHash } from 'node:crypto'
import type { Acting, ActTransaction } from '../../core/acts.js'
import { GatehouseError } from '../../core/errors.js'
import {
  draftVersion,
  MOST_DRAFT_MESSAGE,
  MOST_DRAFT_TEXT,
  MOST_DRAFTS,
  type DraftContent,
  type DraftEditor,
  type PolicyDraft,
} from '../../core/policy-draft.js'
import { requireVersion, versionTag } from '../../core/version-tag.js'
import { draftUnknown } from '../policy-drafts.js'
import { versionUnknown } from '../policy-versions.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

export interface NewDraft {
  /** Number of the version that it begins from; undefined: the one in force. */
  readonly from?: number | undefined
  /** Undefined: that of this version. */
  readonly text?: string | undefined
  readonly message?: string | undefined
}

export interface AddedDraft {
  readonly id: string
  /** Its entity tag, for the next act on it. */
  readonly etag: string
}

export interface ChangedDraft {
  /** As it is now, for the next act on it. */
  readonly etag: string
  /** False: it was so already. */
  readonly changed: boolean
}

export interface DraftActs {
  /** @throws GatehouseError `policy_version_unknown`, `policy_drafts_full`, `request_malformed` */
  add(draft: NewDraft, acting: Acting): Promise<AddedDraft>
  /** @throws GatehouseError `policy_draft_unknown`, `policy_version_unknown`, `version_stale`, `request_malformed` */
  change(id: string, to: Partial<DraftContent>, acting: Acting): Promise<ChangedDraft>
  /** @throws GatehouseError `policy_draft_unknown`, `version_stale` */
  remove(id: string, acting: Acting): Promise<void>
}

export interface DraftActsDeps {
  readonly transaction: ActTransaction
  /** Hash of the policy in force. */
  readonly policyHash: () => string
}

const RULES = { permission: 'gatehouse.policy', inTurn: false } as const

export function createDraftActs({ transaction, policyHash }: DraftActsDeps): DraftActs {
  return {
    async add(draft, acting) {
      requireUsable(draft)
      return await perform(transaction, acting, RULES, (context) => add(draft, policyHash(), context))
    },
    async change(id, to, acting) {
      checkText(id)
      requireUsable(to)
      return await perform(transaction, acting, RULES, (context) => change(id, to, context))
    },
    async remove(id, acting) {
      checkText(id)
      await perform(transaction, acting, RULES, async (context) => {
        const draft = await targetOf(id, context)
        await context.unit.drafts.remove(id)
        await context.record({ action: 'policy.draft.remove', before: seen(draft), after: null, detail: { draft: id } })
      })
    },
  }
}

function requireUsable({ text = '', message = '' }: Pick<NewDraft, 'text' | 'message'>): void {
  checkText(text, message)
  if (text.length > MOST_DRAFT_TEXT || message.length > MOST_DRAFT_MESSAGE) { // guard: policy-draft-bounded
    throw new GatehouseError('request_malformed', {
      detail: `a draft has at most ${MOST_DRAFT_TEXT} characters, and its message ${MOST_DRAFT_MESSAGE}`,
    })
  }
}

async function add(
  { from, text, message = '' }: NewDraft,
  policyHash: string,
  { unit: { drafts }, acting, record }: ActContext,
): Promise<AddedDraft> {
  const base = from ?? await drafts.versionOf(policyHash)
  const ofVersion = base === undefined ? undefined : await drafts.textOfVersion(base)
  if (base === undefined || ofVersion === undefined) throw versionUnknown(base)
  const draft = { text: text ?? ofVersion, message, base }
  const id = await drafts.add({ ...draft, ...editorOf(acting) })
  if (id === undefined) {
    throw new GatehouseError('policy_drafts_full', {
      detail: `there are ${MOST_DRAFTS} drafts already`,
      remedy: 'Delete a draft that is not needed any more.',
    })
  }
  await record({ action: 'policy.draft.add', before: null, after: seen(draft), detail: { draft: id } })
  return { id, etag: versionTag(draftVersion({ id, revision: 1 })) }
}

async function change(id: string, to: Partial<DraftContent>, context: ActContext): Promise<ChangedDraft> {
  const { unit: { drafts }, acting, record } = context
  const draft = await targetOf(id, context)
  const { text = draft.text, message = draft.message, base = draft.base } = to
  const after = { text, message, base }
  if (base !== draft.base && await drafts.textOfVersion(base) === undefined) throw versionUnknown(base)
  if (text === draft.text && message === draft.message && base === draft.base) {
    return { etag: versionTag(draftVersion(draft)), changed: false }
  }
  await drafts.change(id, { ...after, ...editorOf(acting) })
  await record({ action: 'policy.draft.change', before: seen(draft), after: seen(after), detail: { draft: id } })
  return { etag: versionTag(draftVersion({ id, revision: draft.revision + 1 })), changed: true }
}

async function targetOf(id: string, { unit, acting }: ActContext): Promise<PolicyDraft> {
  const draft = await unit.drafts.target(id)
  if (draft === undefined) throw draftUnknown(id)
  requireVersion(acting.ifMatch, draftVersion(draft))
  return draft
}

function editorOf({ actor, admin }: Acting): DraftEditor {
  return { editor: actor, tokenId: admin?.tokenId }
}

/** For the record: a text by its hash, because it may be long, and unfinished. */
function seen({ text, message, base }: DraftContent): Readonly<Record<string, unknown>> {
  return { sha256: createHash('sha256').update(text).digest('hex'), message, base }
}
