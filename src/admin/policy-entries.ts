// The rows of groupMapping and the access rules of a draft, one by one: pages of them, and the text that an edit of one
// makes of the draft. acts/policy-drafts.ts saves it, as it saves the text of the editor.
import { createHash } from 'node:crypto'
import { canonicalJson } from '../core/canonical-json.js'
import { GatehouseError } from '../core/errors.js'
import { MOST_DRAFT_TEXT, type DraftFinding, type PolicyDraft } from '../core/policy-draft.js'
import {
  ENTRY_LISTS,
  type EditedText,
  type EntryEdit,
  type EntryList,
  type EntryValue,
  type PolicyEntries,
  type PolicyEntry,
  type RefusedEdit,
} from '../core/policy-entries.js'
import type { PolicyDraftsAdmin, Staleness } from './policy-drafts.js'
import { nextPage } from './positions.js'

/** Entries of a page. */
export const ENTRIES = 25

export interface EntryView extends Pick<PolicyEntry, 'line' | 'value' | 'reason'> {
  /** Counted from 1. */
  readonly position: number
  /** `groupMapping[2]` */
  readonly path: string
  /** Its YAML, without the indentation that its place gives it. */
  readonly source: string
  /** Of `source`: whether the entry at a place is still the same one. */
  readonly hash: string
  /** Its lines, with the comments directly above. */
  readonly lines: string
  /** Of the draft as it is saved. */
  readonly findings: readonly DraftFinding[]
}

export interface EntriesQuery {
  /** Entries after this position. */
  readonly after?: number | undefined
  readonly q?: string | undefined
  readonly only?: 'findings' | undefined
}

export interface EntriesPage {
  readonly draft: PolicyDraft & Staleness
  /** Why there are no forms: what is wrong with the text. */
  readonly problems: readonly DraftFinding[]
  /** Why forms can change nothing of this list, after "it". */
  readonly reason: string | undefined
  readonly rows: readonly EntryView[]
  /** For `after`; undefined: this is the last page. */
  readonly next: number | undefined
  /** Of the whole list. */
  readonly count: number
  /** Findings of other keys than this list. */
  readonly others: number
}

export interface EntryOfDraft extends Pick<EntriesPage, 'draft' | 'problems' | 'reason' | 'count'> {
  /** Undefined: there is none at this position. */
  readonly entry: EntryView | undefined
  /** Where the first entry with the hash that was asked for is now, counted from 1; undefined: nowhere. */
  readonly sought: number | undefined
}

export interface PolicyEntriesAdmin {
  /** @throws GatehouseError `policy_draft_unknown` */
  list(id: string, list: EntryList, query: EntriesQuery): Promise<EntriesPage>
  /**
   * @param position counted from 1
   * @param seen hash of the entry that a form was made for: it is sought where another one is at this position
   * @throws GatehouseError `policy_draft_unknown`
   */
  get(id: string, list: EntryList, position: number, seen?: string): Promise<EntryOfDraft>
  /**
   * What the edit makes of this text; nothing is saved.
   * @returns what is wrong with what was entered, with the paths of the keys, or the text
   * @throws GatehouseError `policy_entry_unknown`
   */
  edited(text: string, edit: EntryEdit): Promise<EditedText | RefusedEdit>
}

export interface PolicyEntriesPorts {
  readonly drafts: Pick<PolicyDraftsAdmin, 'get' | 'judge'>
  readonly read: (text: string) => Promise<PolicyEntries>
  readonly edit: (text: string, entries: PolicyEntries, edit: EntryEdit) => EditedText | RefusedEdit
  readonly sourceOf: (text: string, entry: Pick<PolicyEntry, 'start' | 'end'>) => string
  /** What the loader says of one entry by itself. */
  readonly judgeEntry: (yaml: string, path: string) => Promise<readonly DraftFinding[]>
}

export function createPolicyEntriesAdmin(ports: PolicyEntriesPorts): PolicyEntriesAdmin {
  const { drafts, read, sourceOf } = ports
  const open = async (id: string, list: EntryList) => {
    const draft = await drafts.get(id)
    const { text } = draft
    const { problems, lists } = await read(text)
    const { entries, reason } = lists[list]
    const found = problems.length > 0 ? [] : findingsOf(await drafts.judge(text))
    const own = byIndex(found, list)
    const hash = (entry: PolicyEntry): string => hashOf(sourceOf(text, entry))
    const view = (index: number, entry: PolicyEntry): EntryView => ({
      position: index + 1,
      path: entryPath(list, index),
      line: entry.line,
      value: entry.value,
      reason: entry.reason ?? reason,
      source: sourceOf(text, entry),
      hash: hash(entry),
      lines: text.slice(entry.from, entry.to),
      findings: own.get(index) ?? [],
    })
    const others = found.length - [...own.values()].reduce((sum, each) => sum + each.length, 0)
    return { draft, text, problems, reason, entries, own, others, view, hash }
  }
  return {
    async list(id, list, { after = 0, q, only }) {
      const { draft, text, problems, reason, entries, own, others, view } = await open(id, list)
      const wanted = q?.trim().toLowerCase() ?? ''
      const indices = Array.from({ length: Math.max(entries.length - after, 0) }, (_, each) => after + each)
      const meets = (index: number): boolean => {
        const entry = entries[index]
        if (entry === undefined || (only === 'findings' && !own.has(index))) return false
        return wanted === '' || textsOf(entry.value ?? text.slice(entry.start, entry.end)).includes(wanted)
      }
      const { page, next } = nextPage(indices, ENTRIES, (index) => index + 1, meets)
      const rows = page.flatMap((index) => entries.slice(index, index + 1).map((entry) => view(index, entry)))
      return { draft, problems, reason, rows, next, count: entries.length, others }
    },
    async get(id, list, position, seen) {
      const { draft, problems, reason, entries, view, hash } = await open(id, list)
      const [shown] = entries.slice(position - 1, position).map((entry) => view(position - 1, entry))
      const sought = shown !== undefined && (seen ?? shown.hash) === shown.hash
        ? position
        : entries.findIndex((each) => hash(each) === seen) + 1 || undefined
      return { draft, problems, reason, count: entries.length, entry: shown, sought }
    },
    edited: async (text, edit) => await edited(text, edit, ports),
  }
}

function hashOf(source: string): string {
  return createHash('sha256').update(source).digest('base64url')
}

/** @param index counted from 0 */
export function entryPath(list: EntryList, index: number): string {
  return `${list}[${index}]`
}

function findingsOf({ problems, warnings }: { problems: readonly DraftFinding[], warnings: readonly DraftFinding[] }) {
  return [...problems, ...warnings]
}

function byIndex(findings: readonly DraftFinding[], list: EntryList): ReadonlyMap<number, readonly DraftFinding[]> {
  const found = new Map<number, DraftFinding[]>()
  for (const finding of findings) {
    if (!finding.path.startsWith(`${list}[`)) continue
    const index = Number(/^\d+/.exec(finding.path.slice(list.length + 1))?.[0])
    const known = found.get(index)
    if (known === undefined) found.set(index, [finding])
    else known.push(finding)
  }
  return found
}

/** Every text of it, in lower case. */
function textsOf(value: EntryValue): string {
  if (typeof value !== 'object' || value === null) return String(value).toLowerCase()
  return Object.values(value as Readonly<Record<string, EntryValue>>).map(textsOf).join('\n')
}

async function edited(
  text: string,
  edit: EntryEdit,
  { read, edit: change, judgeEntry, sourceOf }: PolicyEntriesPorts,
): Promise<EditedText | RefusedEdit> {
  const before = await read(text)
  const refusal = refusalOf(before, edit)
  if (refusal !== undefined) return refusal
  const result = change(text, before, edit)
  if ('problems' in result) return result
  const at = edit.kind === 'add' ? edit.at : edit.index
  const problems = result.entry === undefined ? [] : await judgeEntry(result.entry, entryPath(edit.list, at))
  if (problems.length > 0) return { problems }
  if (result.text.length > MOST_DRAFT_TEXT) {
    return refused('file_too_large', 'The draft would be larger than 1 MB.', 'Take something away first.')
  }
  const texts = (entries: PolicyEntries, from: string) => (list: EntryList) =>
    entries.lists[list].entries.map((entry) => sourceOf(from, entry))
  const after = await read(result.text)
  const isAlone = isOnly(edit, after, texts(before, text), texts(after, result.text))
  return isAlone // guard: policy-entry-alone
    ? result
    : refused('entry_not_alone', 'A form cannot change this without something else.', 'Change it in the YAML.')
}

/** What was entered must not be read as anything else, and nothing else may be read otherwise than before. */
function isOnly(
  edit: EntryEdit,
  after: PolicyEntries,
  textsBefore: (list: EntryList) => readonly string[],
  textsAfter: (list: EntryList) => readonly string[],
): boolean {
  if (after.problems.length > 0) return false
  const at = edit.kind === 'add' ? edit.at : edit.index
  const isSame = ENTRY_LISTS.every((list) => {
    const [expected, found] = [[...textsBefore(list)], [...textsAfter(list)]]
    if (list === edit.list) {
      if (edit.kind === 'add') expected.splice(at, 0, '')
      else if (edit.kind === 'remove') expected.splice(at, 1)
      else if (edit.kind === 'move') expected.splice(edit.to, 0, ...expected.splice(at, 1))
      if (edit.kind === 'add' || edit.kind === 'change') {
        expected[at] = ''
        if (found[at] !== undefined) found[at] = ''
      }
    }
    return canonicalJson(expected) === canonicalJson(found)
  })
  if (!isSame || !('entry' in edit) || !('value' in edit.entry)) return isSame
  return canonicalJson(after.lists[edit.list].entries[at]?.value) === canonicalJson(edit.entry.value)
}

function refusalOf({ problems, lists }: PolicyEntries, edit: EntryEdit): RefusedEdit | undefined {
  if (problems.length > 0) return { problems }
  const { reason, entries } = lists[edit.list]
  const remedy = 'Change it in the YAML.'
  if (reason !== undefined) return refused('entry_fixed', `${edit.list} ${reason}: no form can change it.`, remedy)
  if (edit.kind === 'add') {
    if (edit.at < 0 || edit.at > entries.length) throw entryUnknown(edit.list, edit.at)
    return undefined
  }
  const { list, index } = edit
  const entry = entries[index]
  if (entry === undefined) throw entryUnknown(list, index)
  if (edit.kind === 'move' && entries[edit.to] === undefined) throw entryUnknown(list, edit.to)
  if (entry.reason === undefined) return undefined
  return refused('entry_fixed', `${entryPath(list, index)} ${entry.reason}: no form can change it.`, remedy)
}

function refused(code: string, message: string, remedy: string): RefusedEdit {
  return { problems: [{ line: 1, column: 1, path: '', code, message, remedy }] }
}

export function entryUnknown(list: EntryList, index: number): GatehouseError {
  return new GatehouseError('policy_entry_unknown', {
    detail: `there is no ${entryPath(list, index)}`,
    remedy: 'Another administrator may have removed or moved it: look at the list.',
  })
}
