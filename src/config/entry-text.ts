// Where a node of the YAML stands in its text, and what it says: the text is changed in place, so that comments, order
// and layout of everything else stay as they are.
import { isAlias, isCollection, isMap, isNode, isScalar, isSeq, type YAMLMap } from 'yaml'
import type { EntryValue } from '../core/policy-entries.js'

export interface Content {
  readonly start: number
  readonly end: number
  readonly value: EntryValue | undefined
  /** Why there is no value, after "it". */
  readonly reason: string | undefined
}

/** @param node of the tree of this text */
export function contentOf(text: string, node: unknown): Content {
  const start = isNode(node) ? node.range?.[0] ?? 0 : 0
  const last = contentEnd(node) ?? start
  const end = text[last - 1] === '\n' ? lineEnd(text, last) : last
  try {
    const value = valueOf(node)
    if (hasCommentWithin(text, node)) throw new Refused('has a comment within { } or [ ]')
    return { start, end, value, reason: undefined }
  } catch (error) {
    if (error instanceof Refused) return { start, end, value: undefined, reason: error.message }
    throw error
  }
}

class Refused extends Error {}

function valueOf(node: unknown): EntryValue {
  if (node === null || node === undefined) return null
  if (isAlias(node)) throw new Refused(`has an alias (*${node.source})`)
  if (!isNode(node)) throw new Refused('has a value of an unknown kind')
  if (node.anchor !== undefined) throw new Refused(`has an anchor (&${node.anchor})`)
  if (node.tag?.startsWith('!') === true) throw new Refused(`has a tag (${node.tag})`)
  if (isSeq(node)) return node.items.map(valueOf)
  if (isMap(node)) return mapOf(node)
  if (isScalar(node) && node.type?.startsWith('BLOCK') === true) {
    throw new Refused('has text in lines of its own (| or >)')
  }
  const value = isScalar(node) ? node.value : undefined
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') {
    return value
  }
  throw new Refused('has a value of an unknown kind')
}

function mapOf(map: YAMLMap): EntryValue {
  const entries = map.items.map(({ key, value }) => {
    if (!isScalar(key) || typeof key.value !== 'string') throw new Refused('has a key that is no text')
    if (key.value === '<<') throw new Refused('has a merge key (<<)')
    if (key.anchor !== undefined || key.tag?.startsWith('!') === true) throw new Refused('has a key with a mark')
    return [key.value, valueOf(value)] as const
  })
  if (new Set(entries.map(([key]) => key)).size < entries.length) throw new Refused('has a key twice')
  return Object.fromEntries(entries)
}

/** End of its last value: ranges of the tree also have the comments and blank lines below. */
export function contentEnd(node: unknown): number | undefined {
  if (!isNode(node) || !node.range) return undefined
  const isBlock = isCollection(node) && node.flow !== true
  const last: unknown = isBlock ? node.items.at(-1) : undefined
  if (isMap(node) && isBlock && typeof last === 'object' && last !== null && 'key' in last) {
    const { key, value } = last as YAMLMap['items'][number]
    return (isEmptyNode(value) ? undefined : contentEnd(value)) ?? contentEnd(key)
  }
  if (isBlock && last !== undefined) return contentEnd(last)
  return node.range[1]
}

/** A key without a value. */
function isEmptyNode(node: unknown): boolean {
  return isScalar(node) && node.source === '' && node.value === null
}

/** Between the values of a flow collection: taking one of them away might take the comment away. */
function hasCommentWithin(text: string, node: unknown): boolean {
  if (!isCollection(node)) return false
  const nodes = node.items.flatMap((item): unknown[] =>
    isMap(node) ? [(item as YAMLMap['items'][number]).key, (item as YAMLMap['items'][number]).value] : [item]
  )
  if (nodes.some((each) => hasCommentWithin(text, each))) return true
  if (node.flow !== true || !node.range) return false
  let at = node.range[0]
  for (const each of nodes) {
    if (!isNode(each) || !each.range) continue
    if (text.slice(at, each.range[0]).includes('#')) return true
    at = each.range[1]
  }
  return text.slice(at, node.range[1]).includes('#')
}

export function newlineOf(text: string): '\n' | '\r\n' {
  return text.includes('\r\n') ? '\r\n' : '\n'
}

export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1
}

/** Before the line end; of an offset that is one, its own. */
export function lineEnd(text: string, offset: number): number {
  // a block scalar ends behind its last line end
  const at = offset > 0 && text[offset - 1] === '\n' ? offset - 1 : offset
  const end = text.indexOf('\n', at)
  const before = end === -1 ? text.length : end
  return text[before - 1] === '\r' ? before - 1 : before
}

/** Of the line before the one that starts here. */
export function lineEndBefore(text: string, start: number): number {
  return text.startsWith('\r\n', start - 2) ? start - 2 : Math.max(start - 1, 0)
}

/** Whether nothing but a comment follows in the line. */
export function textAfter(text: string, end: number): boolean {
  return /^(?:[ \t]+#.*|[ \t]*)$/s.test(text.slice(end, lineEnd(text, end)))
}

/** Start of the comment lines directly above a line, not further up than `limit`. */
export function commentsAbove(text: string, start: number, limit: number): number {
  let from = start
  while (from > 0) {
    const before = lineStart(text, from - 1)
    if (before <= limit || !/^[ \t]*#/.test(text.slice(before, from))) return from
    from = before
  }
  return from
}
