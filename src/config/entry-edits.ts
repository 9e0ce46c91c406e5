// Changes one row or rule in the YAML of a policy: a part of the text is replaced, and all the rest stays as it is, to
// the byte. The use case compares what the text says before and after (admin/policy-entries.ts).
import type {
  EditedText,
  EntryEdit,
  PolicyEntries,
  PolicyEntryList,
  RefusedEdit,
  WrittenEntry,
} from '../core/policy-entries.js'
import { changedEntry, entryInStyle, readWritten } from './entry-values.js'
import { lineEndBefore, lineStart, newlineOf } from './entry-text.js'

/**
 * @param entries of this text
 * @throws Error where there is no such entry, or forms can change none of the list
 */
export function editPolicyEntries(text: string, entries: PolicyEntries, edit: EntryEdit): EditedText | RefusedEdit {
  const list = entries.lists[edit.list]
  if (entries.problems.length > 0 || list.reason !== undefined) throw new Error(`${edit.list} cannot be edited`)
  if (edit.kind === 'add') return added(text, list, edit.at, edit.entry)
  if (list.entries[edit.index] === undefined) throw new Error(`${edit.list} has no entry ${edit.index}`)
  if (edit.kind === 'change') return changed(text, list, edit.index, edit.entry)
  if (edit.kind === 'remove') {
    return cutsComment(text, list, edit.index) ? COMMENTED : { text: removed(text, list, edit.index), entry: undefined }
  }
  return { text: moved(text, list, edit.index, edit.to), entry: undefined }
}

/** As a form shows it: without the indentation that its place gives it. */
export function entrySource(text: string, { start, end }: { readonly start: number, readonly end: number }): string {
  const column = start - lineStart(text, start)
  const outdented = new RegExp(`\\n {0,${column}}`, 'g')
  return text.slice(start, end).replaceAll('\r\n', '\n').replace(outdented, '\n')
}

function changed(
  text: string,
  list: PolicyEntryList,
  index: number,
  written: WrittenEntry,
): EditedText | RefusedEdit {
  const { start, end, to } = list.entries[index] ?? { start: 0, end: 0, to: 0 }
  const column = start - lineStart(text, start)
  const newline = newlineOf(text)
  if ('yaml' in written) {
    const source = readWritten(written.yaml, { column, newline, isFlow: list.isFlow })
    return typeof source === 'string' ? editedText(replaced(text, start, end, source), source, column) : source
  }
  const source = changedEntry(text.slice(start, to), written.value, { column, newline }) // with the comment behind it
  return editedText(replaced(text, start, to, source), source, column)
}

function editedText(text: string, source: string, column: number): EditedText {
  const entry = `${' '.repeat(column)}${source}`
  return { text, entry: entrySource(entry, { start: column, end: entry.length }) }
}

function added(
  text: string,
  list: PolicyEntryList,
  position: number,
  written: WrittenEntry,
): EditedText | RefusedEdit {
  const { entries, isFlow, first } = list
  const newline = newlineOf(text)
  const before = entries[position - 1]
  const after = entries[position]
  const neighbour = before ?? after
  const gap = neighbour && !isFlow ? gapOf(text, neighbour.start) : 1
  const column = isFlow ? 0 : list.indent + 1 + gap
  const likeFlow = isFlow || (neighbour !== undefined && text[neighbour.start] === '{')
  const source = 'yaml' in written
    ? readWritten(written.yaml, { column, newline, isFlow })
    : entryInStyle(written.value, { column, newline, isFlow: likeFlow })
  if (typeof source !== 'string') return source
  const entry = isFlow ? source : `${' '.repeat(list.indent)}-${' '.repeat(gap)}${source}`
  const edited = (from: number, to: number, inserted: string): EditedText =>
    editedText(replaced(text, from, to, inserted), source, column)
  if (neighbour === undefined) return edited(first.from, first.to, `${first.before}${entry}${first.after}`)
  const separator = isFlow ? `,${separatorOf(text, neighbour.start)}` : newline
  if (before !== undefined) return edited(before.to, before.to, `${separator}${entry}`)
  return edited(neighbour.from, neighbour.from, `${entry}${separator}`)
}

/** Spaces between the hyphen and the entry. */
function gapOf(text: string, start: number): number {
  return /-( +)$/.exec(text.slice(lineStart(text, start), start))?.[1]?.length ?? 1
}

/** Within `[ ]`: a space, or the line end and the indentation before this entry. */
function separatorOf(text: string, start: number): string {
  const before = text.slice(lineStart(text, start), start)
  return /^ *$/.test(before) ? `${newlineOf(text)}${before}` : ' '
}

function removed(text: string, { entries, isFlow, emptiedAt }: PolicyEntryList, index: number): string {
  const entry = entries[index] ?? { from: 0, to: 0 }
  const { from, to } = entry
  const [before, after] = [entries[index - 1], entries[index + 1]]
  if (isFlow) {
    if (before !== undefined) return replaced(text, before.to, to, '')
    return after === undefined ? withoutOnly(text, from, to) : replaced(text, from, after.from, '')
  }
  const newline = text.startsWith('\r\n', to) ? 2 : 1
  const lines = to < text.length ? [from, to + newline] as const : [lineEndBefore(text, from), to] as const
  const without = replaced(text, lines[0], lines[1], '')
  return entries.length > 1 ? without : replaced(without, emptiedAt, emptiedAt, ' []')
}

/** What is taken away within `[ ]` beside the entry: comments there may be about its neighbours. */
function cutsComment(text: string, { entries, isFlow }: PolicyEntryList, index: number): boolean {
  const [before, entry, after] = [entries[index - 1], entries[index], entries[index + 1]]
  if (!isFlow || entry === undefined) return false
  const gap = before === undefined ? text.slice(entry.to, after?.from ?? entry.to) : text.slice(before.to, entry.from)
  return gap.includes('#')
}

const COMMENTED: RefusedEdit = {
  problems: [{
    ...{ line: 1, column: 1, path: '', code: 'entry_fixed' },
    message: 'A comment is between this entry and the one beside it within [ ]: no form can remove it.',
    remedy: 'Change it in the YAML.',
  }],
}

/** The only one within `[ ]`, with the comma behind it. */
function withoutOnly(text: string, from: number, to: number): string {
  const comma = /^\s*,/.exec(text.slice(to))?.[0].length ?? 0
  return replaced(text, from, to + comma, '')
}

/** What is between the entries stays where it is. */
function moved(text: string, { entries }: PolicyEntryList, index: number, to: number): string {
  const parts = entries.map((entry) => text.slice(entry.from, entry.to))
  const order = parts.map((_, each) => each)
  order.splice(to, 0, ...order.splice(index, 1))
  const first = Math.min(index, to)
  const last = Math.max(index, to)
  const [begin, end] = [entries[first]?.from ?? 0, entries[last]?.to ?? 0]
  const pieces = order.slice(first, last + 1).map((each, offset) => {
    const place = first + offset
    const gap = place < last ? text.slice(entries[place]?.to, entries[place + 1]?.from) : ''
    return `${parts[each] ?? ''}${gap}`
  })
  return replaced(text, begin, end, pieces.join(''))
}

function replaced(text: string, from: number, to: number, by: string): string {
  return `${text.slice(0, from)}${by}${text.slice(to)}`
}
