// Drafts of the policy: texts that administrators work on before they become the policy. They may be unfinished, or no
// YAML at all. store/policy-drafts.ts keeps them.
import { randomBytes } from 'node:crypto'
import type { AccessRules } from './access.js'
import type { Page, PageRequest } from './page.js'
import type { PolicyInForce } from './policy.js'

/** Characters of a text, as for a configuration file. */
export const MOST_DRAFT_TEXT = 1024 * 1024
export const MOST_DRAFT_MESSAGE = 200
/** In all. */
export const MOST_DRAFTS = 200
/** A draft that is not changed for so long is deleted (store/sweep.ts). */
export const DRAFT_KEPT_DAYS = 90

export interface DraftContent {
  readonly text: string
  /** What it is for. */
  readonly message: string
  /** Number of the version that it is compared with. */
  readonly base: number
}

export interface DraftSummary extends Omit<DraftContent, 'text'> {
  /** `drf_...` */
  readonly id: string
  /** Of the version that it is compared with (core/policy-version.ts). */
  readonly baseHash: string
  /** As in the audit record: `admin:<user id>`. */
  readonly author: string
  readonly changedBy: string
  /** Their names; null: a command, or a user who was removed. */
  readonly authorName: string | null
  readonly changedByName: string | null
  /** ISO 8601. */
  readonly createdAt: string
  readonly changedAt: string
  /** Grows with each change. */
  readonly revision: number
  /** Characters of its text. */
  readonly size: number
  /**
   * As in the audit record: who has ever saved it, and who has made the token of a program that did. They do not
   * approve it (policy-approval.ts).
   */
  readonly editors: readonly string[]
}

export interface PolicyDraft extends DraftSummary {
  readonly text: string
}

/** A row of a page: the next one begins after it. */
export type DraftCursor = Pick<DraftSummary, 'id' | 'changedAt'>

export interface PolicyDrafts {
  /** The one that was changed last first. */
  list(request: PageRequest<DraftCursor>): Promise<Page<DraftSummary, DraftCursor>>
  byId(id: string): Promise<PolicyDraft | undefined>
}

/** Who saves a draft. */
export interface DraftEditor {
  readonly editor: string
  /** Of a program: who has made its token is an editor too. */
  readonly tokenId: string | undefined
}

/** What acts on drafts read, lock and change. */
export interface DraftsUnit {
  /** Locks the draft. Undefined: there is none. */
  target(id: string): Promise<PolicyDraft | undefined>
  /** Undefined: there are MOST_DRAFTS already. */
  add(draft: DraftContent & DraftEditor): Promise<string | undefined>
  change(id: string, draft: DraftContent & DraftEditor): Promise<void>
  remove(id: string): Promise<void>
  /** Undefined: there is no version of this number. */
  textOfVersion(number: number): Promise<string | undefined>
  /** The newest version with this hash; undefined: there is none. */
  versionOf(hash: string): Promise<number | undefined>
}

/** What an edit must have seen (core/version-tag.ts). */
export function draftVersion({ id, revision }: Pick<DraftSummary, 'id' | 'revision'>): unknown {
  return [id, revision]
}

export function newDraftId(): string {
  return `drf_${randomBytes(9).toString('base64url')}`
}

export interface DraftFinding {
  /** Counted from 1; both are 1 where the text as a whole is meant. */
  readonly line: number
  readonly column: number
  /** Such as `groupMapping[2].groups`; empty: the text as a whole. */
  readonly path: string
  readonly code: string
  /** Null: not shown, because it may contain a value that came from the environment. */
  readonly message: string | null
  readonly remedy: string | null
}

/** A text, judged as if it stood in the configuration in force. */
export interface DraftJudgement {
  /** In its order; not empty: it cannot be used. */
  readonly problems: readonly DraftFinding[]
  readonly warnings: readonly DraftFinding[]
  /** Undefined: it cannot be used. */
  readonly policy: DraftPolicy | undefined
}

export interface DraftPolicy extends Pick<PolicyInForce, 'groupMapping' | 'access'> {
  /** The same rules for people to read. */
  readonly shownAccess: AccessRules
  /** SHA-256 of its canonical form: 64 hex characters. */
  readonly hash: string
}
