// A YAML file that a command gets: every key is judged, and every problem is reported with its place.
import { readFileSync } from 'node:fs'
import { LineCounter, parseDocument } from 'yaml'
import { GatehouseError } from '../core/errors.js'

type Path = readonly (string | number)[]
export type FileProblem = readonly [at: Path, message: string]
export type Judge = (value: unknown, at: Path) => FileProblem[]

export const text: Judge = (value, at) => typeof value === 'string' ? [] : [[at, 'must be text']]
export const nonEmptyText: Judge = (value, at) =>
  typeof value === 'string' && value !== '' ? [] : [[at, 'must be text that is not empty']]
export const listOf = (item: Judge): Judge => (value, at) =>
  Array.isArray(value) ? value.flatMap((each, index) => item(each, [...at, index])) : [[at, 'must be a list']]
export const keys =
  (required: Readonly<Record<string, Judge>>, optional: Readonly<Record<string, Judge>> = {}): Judge => (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[at, 'must have keys']]
    const missing = Object.keys(required).filter((key) => !Object.hasOwn(value, key))
    const judges = new Map(Object.entries({ ...required, ...optional }))
    return [
      ...missing.map((key): FileProblem => [at, `must have the key ${key}`]),
      ...Object.entries(value).flatMap(([key, each]): FileProblem[] =>
        judges.get(key)?.(each, [...at, key]) ?? [[[...at, key], 'is not a key that is known here']]
      ),
    ]
  }

export interface CheckedFile {
  readonly value: unknown
  positionOf(path: Path): { readonly line: number, readonly column: number }
}

/** @throws `file_unreadable` with the place of every problem */
export function readCheckedFile(file: string, judge: Judge, remedy: string): CheckedFile {
  const lines = new LineCounter()
  const document = parseDocument(readText(file), { lineCounter: lines })
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

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatehouseError('file_unreadable', {
      cause,
      detail: `${file} cannot be read: ${
        cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
      }`,
      remedy: 'Give the path of a file that this user may read.',
    })
  }
}
