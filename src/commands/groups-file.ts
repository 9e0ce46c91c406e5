// The file of `groups apply` and `groups export`: YAML, under version control.
import { readFileSync } from 'node:fs'
import { LineCounter, parseDocument, stringify } from 'yaml'
import { GatehouseError } from '../core/errors.js'
import type { GroupView } from '../core/groups.js'
import type { GroupDefinition } from '../store/groups.js'

type Path = readonly (string | number)[]
type FileProblem = readonly [at: Path, message: string]
type Judge = (value: unknown, at: Path) => FileProblem[]

const text: Judge = (value, at) => typeof value === 'string' ? [] : [[at, 'must be text']]
const listOf = (item: Judge): Judge => (value, at) =>
  Array.isArray(value) ? value.flatMap((each, index) => item(each, [...at, index])) : [[at, 'must be a list']]
const keys =
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

const judgeFile = keys({
  groups: listOf(keys({ name: text }, { description: text, permissions: listOf(text) })),
})

/** @throws `file_unreadable` with the place of every problem */
export function readGroupsFile(file: string): readonly GroupDefinition[] {
  const remedy = 'It is a list like: groups: [{ name: Network Engineers, permissions: [netbox.view] }]'
  const text = readText(file)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [broken] = document.errors
  if (broken) {
    throw new GatehouseError('file_unreadable', {
      detail: `${file}:${broken.linePos?.[0].line ?? 1}:${broken.linePos?.[0].col ?? 1}: ${
        broken.message.split('\n')[0]
      }`,
      remedy,
    })
  }
  const value: unknown = document.toJS()
  const problems = judgeFile(value, [])
  if (problems.length > 0) {
    const found = problems.map(([at, message]) => `${place(file, at, document, lines)}: ${message}`)
    throw new GatehouseError('file_unreadable', { detail: found.join('\n'), remedy })
  }
  const { groups } = value as { groups: GroupDefinition[] }
  const doubled = groups.find((group, index) => groups.findIndex((other) => other.name === group.name) < index)
  if (doubled) {
    throw new GatehouseError('file_unreadable', {
      detail: `${file}: the group ${doubled.name} is there twice`,
      remedy: 'Keep one of them.',
    })
  }
  return groups
}

function place(file: string, path: Path, document: ReturnType<typeof parseDocument>, lines: LineCounter): string {
  const node = document.getIn(path, true)
  const range = typeof node === 'object' && node !== null && 'range' in node
    ? node.range as [number] | undefined
    : undefined
  const { line, col } = lines.linePos(range?.[0] ?? 0)
  return `${file}:${line}:${col}${path.length === 0 ? '' : ` (${path.join('.')})`}`
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

export function formatGroupsFile(groups: readonly GroupView[]): string {
  return stringify({
    groups: groups.map(({ name, description, permissions }) => ({
      name,
      ...(description === '' ? {} : { description }),
      ...(permissions.length === 0 ? {} : { permissions: [...permissions] }),
    })),
  })
}
