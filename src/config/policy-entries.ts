// Reads where each row of groupMapping and each access rule stands in the YAML of a policy: one function of a text,
// whose result can be copied between threads (loading-thread.ts). entry-edits.ts changes one.
import { isAlias, isCollection, isMap, isScalar, isSeq, type YAMLMap, type YAMLSeq } from 'yaml'
import {
  ENTRY_LISTS,
  type EntryList,
  type PolicyEntries,
  type PolicyEntry,
  type PolicyEntryList,
} from '../core/policy-entries.js'
import { commentsAbove, contentEnd, contentOf, lineEnd, lineStart, newlineOf, textAfter } from './entry-text.js'
import { POLICY_KEYS } from './policy-text.js'
import { createReport, inOrder } from './report.js'
import { parseYaml } from './yaml-file.js'

/** A longer entry is for the editor of the whole text. */
export const MOST_ENTRY_TEXT = 20_000

const NONE: PolicyEntryList = {
  entries: [],
  isFlow: false,
  indent: 0,
  reason: 'cannot be read',
  first: { from: 0, to: 0, before: '', after: '' },
  emptiedAt: 0,
}

/** @param text of any kind; what is wrong with it is in `problems` */
export function readPolicyEntries(text: string): PolicyEntries {
  const report = createReport('draft')
  const yaml = parseYaml(text, report, POLICY_KEYS)
  const problems = inOrder(report.problems).map(({ file: _, ...problem }) => problem)
  if (yaml === undefined || problems.length > 0) return { problems, lists: listsOf(() => NONE) }
  const lineAt = (offset: number): number => yaml.positionAt(offset).line
  return { problems, lists: listsOf((list) => readList(text, yaml.doc.contents, list, lineAt)) }
}

function listsOf(read: (list: EntryList) => PolicyEntryList): PolicyEntries['lists'] {
  return Object.fromEntries(ENTRY_LISTS.map((list) => [list, read(list)])) as PolicyEntries['lists']
}

type LineAt = (offset: number) => number

function readList(text: string, contents: unknown, list: EntryList, lineAt: LineAt): PolicyEntryList {
  let parent: unknown = contents
  const keys = list.split('.')
  for (const [depth, key] of keys.entries()) {
    const rest = keys.slice(depth)
    if (isNothing(parent) && depth === 0) return { ...NONE, reason: undefined, ...atEnd(text, rest) }
    if (!isMap(parent)) return refused(`is in ${keys.slice(0, depth).join('.') || 'a text'}, which holds no keys`)
    const found = pairsOf(parent, key)
    if (found.length > 1) return refused(`is in the text twice: ${key} is given twice`)
    const [pair] = found
    if (pair === undefined && pairsOf(parent, '<<').length > 0) return refused('may come from a merge key (<<)')
    if (pair === undefined) return { ...NONE, reason: undefined, ...behindLast(text, parent, rest) }
    const { value } = pair
    if (isAlias(value)) return refused(`has an alias (*${value.source})`)
    if (isCollection(value) && (value.anchor !== undefined || value.tag?.startsWith('!') === true)) {
      return refused('has an anchor or a tag')
    }
    if (depth === keys.length - 1) return readEntries(text, parent, pair, lineAt)
    parent = value
  }
  return NONE
}

function refused(reason: string): PolicyEntryList {
  return { ...NONE, reason }
}

function isNothing(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null && node.source === '')
}

function pairsOf(map: YAMLMap, key: string) {
  return map.items.filter((pair) => isScalar(pair.key) && pair.key.value === key)
}

/** The keys around the first entry, in lines of their own: the last one ends with a colon. */
function keyLines(keys: readonly string[], indent: number, newline: string): string {
  return keys.map((key, depth) => `${' '.repeat(indent + 2 * depth)}${key}:`).join(newline)
}

function atEnd(text: string, keys: readonly string[]): Pick<PolicyEntryList, 'first' | 'indent'> {
  const newline = newlineOf(text)
  const isOpen = text !== '' && !text.endsWith('\n')
  const before = `${isOpen ? newline : ''}${keyLines(keys, 0, newline)}${newline}`
  return { first: { from: text.length, to: text.length, before, after: newline }, indent: 2 * keys.length }
}

function behindLast(
  text: string,
  map: YAMLMap,
  keys: readonly string[],
): Pick<PolicyEntryList, 'first' | 'indent' | 'isFlow'> {
  const last = map.items.at(-1)
  const end = last === undefined ? undefined : contentEnd(last.value ?? last.key)
  if (map.flow === true || last === undefined || end === undefined) {
    const at = end ?? (map.range?.[0] ?? 0) + 1
    const opened = keys.map((key, depth) => `${depth > 0 ? '{ ' : ''}${key}: `).join('')
    const closed = ' }'.repeat(keys.length - 1)
    const before = `${last === undefined ? ' ' : ', '}${opened}[`
    return {
      first: { from: at, to: at, before, after: `]${closed}${last === undefined ? ' ' : ''}` },
      indent: 0,
      isFlow: true,
    }
  }
  const newline = newlineOf(text)
  const start = map.items[0]?.key
  const indent = isScalar(start) && start.range ? columnOf(text, start.range[0]) : 0
  const at = lineEnd(text, end)
  const before = `${newline}${keyLines(keys, indent, newline)}${newline}`
  return { first: { from: at, to: at, before, after: '' }, indent: indent + 2 * keys.length, isFlow: false }
}

/** Spaces before it: a byte order mark is none. */
function columnOf(text: string, offset: number): number {
  const line = lineStart(text, offset)
  return offset - line - (text.startsWith('\uFEFF', line) ? 1 : 0)
}

function readEntries(
  text: string,
  parent: YAMLMap,
  { key, value }: YAMLMap['items'][number],
  lineAt: LineAt,
): PolicyEntryList {
  const keyNode = isScalar(key) ? key : undefined
  const colon = text.indexOf(':', keyNode?.range?.[1] ?? 0) + 1
  const keyStart = keyNode?.range?.[0] ?? 0
  const indent = columnOf(text, keyStart) + 2
  const inFlow = parent.flow === true
  if (isNothing(value)) {
    if (inFlow) {
      return { ...NONE, reason: undefined, isFlow: true, first: { from: colon, to: colon, before: ' [', after: ']' } }
    }
    return { ...NONE, reason: undefined, indent, first: belowKey(text, colon, colon) }
  }
  if (!isSeq(value) || !value.range) return refused('is no list')
  const [start, end] = value.range
  if (value.items.length === 0) {
    const isFlow = inFlow || /[^\s[\]]/.test(text.slice(start, end))
    const first = isFlow
      ? { from: end - 1, to: end - 1, before: '', after: '' }
      : belowKey(text, start - (text[start - 1] === ' ' ? 1 : 0), end)
    return { ...NONE, reason: undefined, isFlow, indent, first }
  }
  const isFlow = value.flow === true
  const entries = entriesIn(text, value, colon, lineAt)
  const hyphen = isFlow ? undefined : hyphenOf(text, entries[0]?.start ?? 0)
  const hyphenIndent = hyphen === undefined ? 0 : hyphen - lineStart(text, hyphen)
  const outside = entries.some((entry) => entry.reason === OUT_OF_LINE)
  return { ...NONE, reason: outside ? OUT_OF_LINE : undefined, entries, isFlow, indent: hyphenIndent, emptiedAt: colon }
}

/** The first entry in a line of its own, below the line that the key is in. */
function belowKey(text: string, from: number, to: number): PolicyEntryList['first'] {
  const end = lineEnd(text, to)
  return { from, to: end, before: `${text.slice(to, end)}${newlineOf(text)}`, after: '' }
}

const OUT_OF_LINE = 'has a hyphen in another line than its first key'

function entriesIn(text: string, { items, flow }: YAMLSeq, after: number, lineAt: LineAt): PolicyEntry[] {
  let previous = lineEnd(text, after)
  return items.map((item) => {
    const { start, end, value, reason } = contentOf(text, item)
    const line = lineAt(start)
    if (flow === true) return { line, start, end, from: start, to: end, value, reason }
    const to = lineEnd(text, end)
    const hyphen = hyphenOf(text, start)
    const from = commentsAbove(text, lineStart(text, hyphen ?? start), previous)
    previous = to
    const isInLine = hyphen !== undefined && textAfter(text, end)
    const isLong = end - start > MOST_ENTRY_TEXT
    const why = isInLine ? reason ?? (isLong ? 'is too long for a form' : undefined) : OUT_OF_LINE
    return { line, start, end, from, to, value: why === undefined ? value : undefined, reason: why }
  })
}

/** Offset of the hyphen: in the line of the first key, or further up with nothing but comments between. */
function hyphenOf(text: string, start: number): number | undefined {
  let line = lineStart(text, start)
  let shown = text.slice(line, start)
  while (/^\s*(?:#|$)/.test(shown) && line > 0) {
    const above = lineStart(text, line - 1)
    shown = text.slice(above, line)
    line = above
  }
  const [hyphen, ...words] = shown.trim().split(/\s+/) // one expression for all of it would take quadratic time
  const comment = words.findIndex((word) => word.startsWith('#'))
  const marks = comment === -1 ? words : words.slice(0, comment)
  return hyphen === '-' && marks.every((word) => /^[&!]/.test(word)) ? line + shown.indexOf('-') : undefined
}
