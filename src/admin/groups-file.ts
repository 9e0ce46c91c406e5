// The file of local groups: YAML, under version control. The commands, the console and the API read and write the same.
import { isMap, isScalar, LineCounter, parseDocument, stringify, visit, type Document } from 'yaml'
import { GatehouseError } from '../core/errors.js'
import type { GroupDefinition } from '../core/group-definitions.js'
import type { GroupView } from '../core/groups.js'
import { keys, listOf, text, type FileProblem, type Path } from '../core/judges.js'

/** The most characters that the console and its API read. */
export const MOST_GROUPS_FILE = 200_000

const REMEDY = 'It is a list like: groups: [{ name: Network Engineers, permissions: [netbox.view] }]'
/** Problems that are named; more of them say nothing more. */
const MOST_PROBLEMS = 20

const judgeFile = keys({
  groups: listOf(keys({ name: text }, { description: text, permissions: listOf(text) })),
})

/**
 * @param file its name, for places: "groups.yaml:3:5"
 * @throws GatehouseError `file_unreadable` with the place of every problem
 */
export function parseGroupsFile(content: string, file: string): readonly GroupDefinition[] {
  const lines = new LineCounter()
  const at = (offset: number | undefined): string => {
    const { line, col } = lines.linePos(offset ?? 0)
    return `${file}:${line}:${col}`
  }
  const { document, value, doubled } = read(content, lines, file)
  const [broken] = document.errors
  if (broken) throw unreadable([`${at(broken.pos[0])}: ${broken.message.split('\n')[0]}`])
  const [twice] = doubled
  if (twice) throw unreadable([`${at(twice[0])}: the key ${twice[1]} is there twice`])
  const problems = judgeFile(value, [])
  if (problems.length > 0) {
    const named = problems.slice(0, MOST_PROBLEMS).map((each) => describe(each, document, at))
    throw unreadable([...named, ...problems.length > named.length ? [`${problems.length} problems in all`] : []])
  }
  const { groups } = value as { groups: GroupDefinition[] }
  const names = new Set<string>()
  for (const { name } of groups) {
    if (names.has(name)) throw unreadable([`${file}: the group ${name} is there twice`], 'Keep one of them.')
    names.add(name)
  }
  return groups
}

/** @throws GatehouseError `file_unreadable` where aliases or nesting would make the content too large */
function read(content: string, lineCounter: LineCounter, file: string) {
  try {
    // The check of the library for doubled keys compares each key with each: doubledKeys does it.
    const document: Document = parseDocument(content, { lineCounter, uniqueKeys: false, logLevel: 'silent' })
    if (document.errors.length > 0) return { document, value: undefined, doubled: [] }
    const value: unknown = document.toJS({ maxAliasCount: 100 })
    return { document, value, doubled: doubledKeys(document) }
  } catch (cause) {
    throw unreadable([`${file}: it has too many aliases or is nested too deeply`], REMEDY, cause)
  }
}

function doubledKeys(document: Document): readonly (readonly [offset: number | undefined, key: string])[] {
  const found: [number | undefined, string][] = []
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>()
      for (const { key } of map.items) {
        const value = isScalar(key) ? key.value : key
        if (seen.has(value)) found.push([isScalar(key) ? key.range?.[0] : undefined, String(value)])
        seen.add(value)
      }
    },
  })
  return found
}

function describe([path, message]: FileProblem, document: Document, at: (offset: number | undefined) => string) {
  const node = path.length === 0 ? document.contents : keyOrNode(document, path)
  const range = (node as { range?: readonly [number] } | null | undefined)?.range
  return `${at(range?.[0])}${path.length === 0 ? '' : ` (${path.join('.')})`}: ${message}`
}

/** Of an unknown key its own place, and not that of its value. */
function keyOrNode(document: Document, path: Path): unknown {
  const node = document.getIn(path, true)
  if (typeof node === 'object' && node !== null && 'range' in node) return node
  const parent = document.getIn(path.slice(0, -1), true)
  return isMap(parent) ? parent : undefined
}

function unreadable(problems: readonly string[], remedy = REMEDY, cause?: unknown): GatehouseError {
  return new GatehouseError('file_unreadable', {
    ...cause === undefined ? {} : { cause },
    detail: problems.join('\n'),
    remedy,
    sentence: `The file cannot be read: ${problems.join('; ')}.`,
  })
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
