// A YAML file that a command gets: every key is judged, and every problem is reported with its place.
import { LineCounter, parseDocument } from 'yaml'
import { GatehouseError } from '../core/errors.js'
import type { Judge, Path } from '../core/judges.js'
import { readTextFile } from './text-file.js'

export interface CheckedFile {
  readonly value: unknown
  positionOf(path: Path): { readonly line: number, readonly column: number }
}

/** @throws `file_unreadable` with the place of every problem */
export function readCheckedFile(file: string, judge: Judge, remedy: string): CheckedFile {
  const lines = new LineCounter()
  const document = parseDocument(readTextFile(file), { lineCounter: lines })
  const unreadable = (found: readonly string[]): GatehouseError =>
    new GatehouseError('file_unreadable', { detail: found.join('\n'), remedy })
  const [broken] = document.errors // the others are its consequences
  if (broken !== undefined) {
    const { line = 1, col = 1 } = broken.linePos?.[0] ?? {}
    throw unreadable([`${file}:${line}:${col}: ${broken.message.split('\n')[0]}`])
  }
  const positionOf: CheckedFile['positionOf'] = (path) => {
    const node = document.getIn(path, true)
    const range = typeof node === 'object' && node !== null && 'range' in node
      ? node.range as [number] | undefined
      : undefined
    const { line, col } = lines.linePos(range?.[0] ?? 0)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const value: unknown = document.toJS()
  const problems = judge(value, [])
  if (problems.length === 0) return { value, positionOf }
  throw unreadable(problems.map(([at, message]) => {
    const { line, column } = positionOf(at)
    return `${file}:${line}:${column}${at.length === 0 ? '' : ` (${at.join('.')})`}: ${message}`
  }))
}
