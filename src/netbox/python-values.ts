// The values that literals of Python stand for, each with its place and the comment beside it.
import type { Position } from '../config/problem.js'

export type Content =
  | { readonly is: 'text' | 'number', readonly text: string }
  | { readonly is: 'environment', readonly text: string, readonly fallback: Content | undefined }
  | { readonly is: 'constant', readonly value: boolean | null }
  | { readonly is: 'list', readonly items: Value[] }
  | { readonly is: 'dict', readonly entries: Entries }
  | { readonly is: 'unknown', readonly reason: string }

/** Python's objects are shared and can be changed through any of their names: `content` is replaced in place. */
export interface Value {
  content: Content
  readonly at: Position
  readonly note: string | undefined
}

export interface DictEntry {
  readonly key: Value
  value: Value
  /** Where the same key stands again in the same dict: Python keeps the last. */
  readonly again: Position[]
}

export type Entries = Map<string, DictEntry>

/** As Python does it: the last value wins, in the place of the first. */
export function put(entries: Entries, key: Value, value: Value, overrides = false): void {
  const name = key.content.is === 'text' ? `text ${key.content.text}` : `at ${key.at.line}:${key.at.column}`
  const same = entries.get(name)
  if (!same) entries.set(name, { key, value, again: [] })
  else {
    if (!overrides) same.again.push(key.at)
    same.value = value
  }
}

export function itemNamed(entries: Entries, name: string): Value | undefined {
  return entries.get(`text ${name}`)?.value
}
