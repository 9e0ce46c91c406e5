// Writes the values of one row or rule: a key that says the same stays as it is written, with its comment; others are
// replaced, added behind the last one, or taken away.
import { Document, isMap, isScalar, isSeq, Scalar, YAMLSeq, type Node, type YAMLMap } from 'yaml'
import { canonicalJson } from '../core/canonical-json.js'
import type { EntryMap, EntryValue, RefusedEdit } from '../core/policy-entries.js'
import { commentsAbove, contentEnd, contentOf, lineEnd, lineEndBefore, lineStart } from './entry-text.js'
import { createReport, inOrder } from './report.js'
import { parseYaml } from './yaml-file.js'

interface Place {
  /** Characters before it in its line. */
  readonly column: number
  readonly newline: string
}

interface Splice {
  readonly from: number
  readonly to: number
  readonly text: string
}

interface Edited extends Place {
  readonly text: string
  readonly splices: Splice[]
}

/** A list that is longer in one line has a line for each item. */
const WIDEST = 100

/** @param source of a map, from its first key to its last value @returns the same with these values */
export function changedEntry(source: string, wanted: EntryMap, { column, newline }: Place): string {
  const text = `${' '.repeat(column)}${source}`
  const map = parseYaml(text, createReport('entry'), [])?.doc.contents
  if (!isMap(map)) return entryInStyle(wanted, { column, newline, isFlow: source.startsWith('{') })
  const splices: Splice[] = []
  changeMap(map, wanted, { text, column, newline, splices })
  const last = [...splices].sort((a, b) => b.from - a.from || b.to - a.to)
  return last.reduce((at, { from, to, text: by }) => `${at.slice(0, from)}${by}${at.slice(to)}`, text).slice(column)
}

/** A new entry. */
export function entryInStyle(
  value: EntryMap,
  { column, newline, isFlow }: Place & { readonly isFlow: boolean },
): string {
  if (isFlow) return flowText(value)
  const lines = Object.entries(value).map(([key, each]) => pairText(key, each, column, newline))
  return lines.join(`${newline}${' '.repeat(column)}`)
}

function pairText(key: string, value: EntryValue, column: number, newline: string): string {
  const line = `${key}: ${flowText(value)}`
  if (!Array.isArray(value) || line.length + column <= WIDEST || value.length < 2) return line
  const items = (value as readonly EntryValue[]).map((item) => `${newline}${' '.repeat(column)}  - ${flowText(item)}`)
  return `${key}:${items.join('')}`
}

/** In one line, good within `{ }` and `[ ]` too. */
export function flowText(value: EntryValue, type?: Scalar.Type): string {
  if (Array.isArray(value)) return `[${(value as readonly EntryValue[]).map((item) => flowText(item)).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value as EntryMap).map(([key, each]) => `${flowText(key)}: ${flowText(each)}`)
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
  }
  const scalar = new Scalar(value)
  if (type !== undefined) scalar.type = type
  const list = new YAMLSeq()
  list.flow = true // guard: policy-entry-flow
  list.items.push(scalar)
  const text = new Document(list).toString({ lineWidth: 0, flowCollectionPadding: false }).trim()
  return text.slice(1, -1).trim()
}

function changeMap(map: YAMLMap, wanted: EntryMap, edited: Edited): void {
  const { text, splices, newline } = edited
  const pairs = map.items.map(({ key, value }) => {
    const node = key as Node
    const name = isScalar(key) ? String(key.value) : ''
    const start = node.range?.[0] ?? 0
    return { name, start, keyEnd: node.range?.[1] ?? 0, end: contentEnd(value) ?? node.range?.[1] ?? 0, value }
  })
  const kept = pairs.filter(({ name }) => Object.hasOwn(wanted, name))
  const [first] = kept
  const last = kept.at(-1)
  const isFlow = map.flow === true
  if (first === undefined || last === undefined) {
    const [from = 0, end = 0] = map.range ?? []
    splices.push({ from, to: contentEnd(map) ?? end, text: flowText(wanted) })
    return
  }
  for (const { start, keyEnd, end, value, name } of kept) {
    changeValue(value, wanted[name] ?? null, { start, keyEnd, end }, edited)
  }
  const removed = pairs.filter(({ name }) => !Object.hasOwn(wanted, name))
  splices.push(...removed.map((pair) => withoutPair(text, pairs, pairs.indexOf(pair), first.start, isFlow)))
  const known = new Set(pairs.map(({ name }) => name))
  const more = Object.entries(wanted).filter(([key]) => !known.has(key))
  const at = isFlow ? last.end : lineEnd(text, last.end)
  const indent = ' '.repeat(first.start - lineStart(text, first.start))
  const added = more.map(([key, value]) =>
    isFlow ? `, ${key}: ${flowText(value)}` : `${newline}${indent}${pairText(key, value, indent.length, newline)}`
  )
  if (added.length > 0) splices.push({ from: at, to: at, text: added.join('') })
}

/** @param next start of the first pair that stays: it takes the place of those before it, below their comments */
function withoutPair(
  text: string,
  pairs: readonly { readonly start: number, readonly end: number }[],
  index: number,
  next: number,
  isFlow: boolean,
): Splice {
  const { start, end } = pairs[index] ?? { start: 0, end: 0 }
  const begin = pairs[0]?.start ?? start
  if (start < next && (isFlow || !text.slice(begin, next).includes('#'))) {
    return { from: start, to: pairs[index + 1]?.start ?? next, text: '' }
  }
  if (isFlow) return { from: pairs[index - 1]?.end ?? start, to: end, text: '' }
  const from = start === begin ? start : lineEndBefore(text, lineStart(text, start))
  return { from, to: lineEnd(text, end), text: '' }
}

function changeValue(
  node: unknown,
  wanted: EntryValue,
  { start, keyEnd, end }: { readonly start: number, readonly keyEnd: number, readonly end: number },
  edited: Edited,
): void {
  const { text, splices } = edited
  const { value } = contentOf(text, node)
  if (value !== undefined && canonicalJson(value) === canonicalJson(wanted)) return
  if (isMap(node) && node.items.length > 0 && isPlainMap(wanted)) return changeMap(node, wanted, edited)
  if (isSeq(node) && Array.isArray(wanted) && wanted.length > 0 && node.items.length > 0) {
    return changeList(node, wanted as readonly EntryValue[], edited)
  }
  if (isScalar(node) && node.range && node.source !== '') {
    const type = typeof wanted === 'string' && typeof node.value === 'string' ? node.type : undefined
    const quoted = type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE' ? type : undefined
    splices.push({ from: node.range[0], to: node.range[1], text: flowText(wanted, quoted) })
    return
  }
  splices.push({ from: start, to: end, text: `${text.slice(start, keyEnd)}: ${flowText(wanted)}` })
}

function isPlainMap(value: EntryValue): value is EntryMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Items that stay are kept as they are written, with their comments. */
function changeList(list: YAMLSeq, wanted: readonly EntryValue[], { text, splices, newline }: Edited): void {
  const items = list.items.map((item) => contentOf(text, item))
  const isFlow = list.flow === true
  const [first] = items
  const last = items.at(-1)
  if (first === undefined || last === undefined) return
  const parts = isFlow ? items.map(({ start, end }) => ({ from: start, to: end })) : linesOf(text, items)
  const column = lineStart(text, first.start)
  const lead = isFlow ? '' : text.slice(column, first.start)
  const unused = new Set(items.keys())
  const written = wanted.map((value) => {
    const same = [...unused].find((index) => canonicalJson(items[index]?.value ?? null) === canonicalJson(value))
    if (same === undefined) return { text: `${lead}${flowText(value)}`, index: undefined }
    unused.delete(same)
    const { from, to } = parts[same] ?? { from: 0, to: 0 }
    return { text: text.slice(from, to), index: same }
  })
  const gapAfter = (index: number) => text.slice(parts[index]?.to, parts[index + 1]?.from)
  const inLine = items.length < 2 ? ', ' : gapAfter(0)
  const [from, to] = [parts[0]?.from ?? first.start, parts.at(-1)?.to ?? last.end]
  const joined = isFlow
    ? written.map((each) => each.text).join(inLine)
    : withGaps(written, items.map((_, index) => index === 0 ? '' : gapAfter(index - 1).slice(newline.length)), newline)
  splices.push({ from, to, text: joined })
}

interface WrittenItem {
  readonly text: string
  /** Of the item that it was before; undefined: it is new. */
  readonly index: number | undefined
}

/** Blank lines and comments between the items stay above the item that they are above; comments always stay. */
function withGaps(written: readonly WrittenItem[], gaps: readonly string[], newline: string): string {
  const left = new Set(gaps.keys())
  const take = (isDue: (index: number) => boolean, isOwn: (index: number) => boolean): string => {
    const due = [...left].filter(isDue)
    for (const index of due) left.delete(index)
    return due.filter((index) => isOwn(index) || gaps[index]?.includes('#') === true).map((index) => gaps[index]).join(
      '',
    )
  }
  const lines = written.map(({ text, index }, at) =>
    index === undefined ? text : `${take((each) => each <= index, (each) => each === index && at > 0)}${text}`
  )
  const rest = take(() => true, () => false)
  return [...lines, ...rest === '' ? [] : [rest.slice(0, -newline.length)]].join(newline)
}

/** Of each item of a list its lines, with the comments above. */
function linesOf(text: string, items: readonly { readonly start: number, readonly end: number }[]) {
  let previous = lineStart(text, items[0]?.start ?? 0) - 1
  return items.map(({ start, end }, index) => {
    const from = index === 0 ? lineStart(text, start) : commentsAbove(text, lineStart(text, start), previous)
    previous = lineEnd(text, end)
    return { from, to: previous }
  })
}

/** @returns the text as it stands in its place, or what is wrong with it */
export function readWritten(
  yaml: string,
  { column, newline, isFlow }: Place & { readonly isFlow: boolean },
): string | RefusedEdit {
  const report = createReport('entry')
  const parsed = parseYaml(yaml, report, [])
  const { contents } = parsed?.doc ?? {}
  const { start, end, value, reason } = contentOf(yaml, contents)
  const at = parsed?.positionAt(start)
  const refuse = (message: string, remedy: string) => report.problem('', 'yaml_entry', message, remedy, at)
  if (report.problems.length === 0) {
    if (reason !== undefined) refuse(`It ${reason}.`, 'Write it in the YAML of the whole draft.')
    else if (!isMap(contents)) refuse('It is no map of keys and values.', 'Write key: value in each line.')
    else if (value === undefined || yaml.slice(0, start).trim() !== '') {
      refuse('Something is before its first key.', 'Begin with the first key; comments come below it.')
    } else if (isFlow && contents.flow !== true) {
      refuse('The list is written within [ ].', 'Write the entry within { }.')
    }
  }
  if (report.problems.length > 0) return { problems: inOrder(report.problems).map(({ file: _, ...each }) => each) }
  const own = start - lineStart(yaml, start)
  const [first = '', ...lines] = yaml.slice(start, isFlow ? end : undefined).trimEnd().split(/\r?\n/)
  const indented = lines.map((line) => {
    const rest = line.slice(Math.min(own, /^ */.exec(line)?.[0].length ?? 0))
    return rest.trim() === '' ? '' : `${' '.repeat(column)}${rest}`
  })
  return [first, ...indented].join(newline)
}
