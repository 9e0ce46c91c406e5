// The rows of groupMapping and the access rules in the YAML of a policy, one by one: where each stands in the text and
// what it says, so that a form can change one of them and nothing else (config/policy-entries.ts reads them).
import type { DraftFinding } from './policy-draft.js'

export const ENTRY_LISTS = ['groupMapping', 'access.rules'] as const

export type EntryList = typeof ENTRY_LISTS[number]

/** A value of YAML without aliases, anchors and tags. */
export type EntryValue = string | number | boolean | null | readonly EntryValue[] | EntryMap

export interface EntryMap {
  readonly [key: string]: EntryValue
}

/** One row or rule. Offsets are characters of the text, the second one of a pair is exclusive. */
export interface PolicyEntry {
  /** Counted from 1. */
  readonly line: number
  /** From its first key, or its `{`, to its last value: without a comment behind it. */
  readonly start: number
  readonly end: number
  /** Its lines without the last line end, with the comments directly above; as `start` and `end` within `[ ]`. */
  readonly from: number
  readonly to: number
  /** Undefined: no form can change it. */
  readonly value: EntryValue | undefined
  /** Why no form can change it, after "it": `has an alias (*name)`. */
  readonly reason: string | undefined
}

export interface PolicyEntryList {
  readonly entries: readonly PolicyEntry[]
  /** Written within `[ ]`. */
  readonly isFlow: boolean
  /** Spaces before the hyphen of each entry. */
  readonly indent: number
  /** Why no form can change any of it, after "it"; undefined: forms can. */
  readonly reason: string | undefined
  /** Where there are no entries: the first one, between `before` and `after`, takes the place of this part. */
  readonly first: { readonly from: number, readonly to: number, readonly before: string, readonly after: string }
  /** Where there is one entry in lines of its own: `[]` goes here when it is removed. */
  readonly emptiedAt: number
}

export interface PolicyEntries {
  /** Why the text cannot be taken apart; not empty: both lists are. */
  readonly problems: readonly DraftFinding[]
  readonly lists: Readonly<Record<EntryList, PolicyEntryList>>
}

/** What a form makes of an entry: its values, or its own YAML where the form has no fields for it. */
export type WrittenEntry = { readonly value: EntryMap } | { readonly yaml: string }

export type EntryEdit =
  /** @property at 0: before the first one */
  | { readonly kind: 'add', readonly list: EntryList, readonly at: number, readonly entry: WrittenEntry }
  | { readonly kind: 'change', readonly list: EntryList, readonly index: number, readonly entry: WrittenEntry }
  | { readonly kind: 'remove', readonly list: EntryList, readonly index: number }
  | { readonly kind: 'move', readonly list: EntryList, readonly index: number, readonly to: number }

export interface EditedText {
  readonly text: string
  /** YAML of the entry that was added or changed, without its indentation. */
  readonly entry: string | undefined
}

/** Why an edit cannot be made: what is wrong with the values or the YAML that was written, or with the place. */
export interface RefusedEdit {
  readonly problems: readonly DraftFinding[]
}
