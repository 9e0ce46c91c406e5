// The keys of one YAML map: aliases followed, merge keys (`<<`) merged in, duplicates reported.
import { isAlias, isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml'
import type { Position } from './problem.js'
import type { ReadContext } from './read-context.js'

export interface Entry {
  readonly name: string
  readonly node: Node | null
  readonly keyPosition: Position
}

export function placeOfNode(context: ReadContext, node: unknown, otherwise: Position): Position {
  const range = typeof node === 'object' && node !== null && 'range' in node
    ? node.range as readonly [number] | null | undefined
    : undefined
  return range ? context.yaml.positionAt(range[0]) : otherwise
}

/** What an alias stands for; undefined where nothing has that anchor. */
export function follow(context: ReadContext, node: unknown): unknown {
  let at = node
  for (let hops = 0; isAlias(at) && hops < 8; hops++) at = at.resolve(context.yaml.doc)
  return isAlias(at) ? undefined : at
}

/** The map's own keys first; merged ones count where the map does not have them. */
export function entriesOf(
  context: ReadContext,
  map: YAMLMap,
  path: string,
  place: Position,
  open: readonly YAMLMap[] = [],
): Entry[] {
  const own = new Map<string, Entry>()
  const merged: Entry[] = []
  for (const { key, value } of map.items) {
    const keyPosition = placeOfNode(context, key, place)
    const name = isScalar(key) && key.value !== null ? String(key.value) : '?'
    if (name === '<<' && isScalar(key) && key.type === 'PLAIN') {
      merged.push(...mergedEntries(context, value, path, keyPosition, [...open, map]))
      continue
    }
    const first = own.get(name)
    if (first) { // guard: yaml-keys-once
      context.report.problem(
        path === '' ? name : `${path}.${name}`,
        'key_duplicate',
        `${name} is given twice; first on line ${first.keyPosition.line}.`,
        'Keep one of the two.',
        keyPosition,
      )
    } else own.set(name, { name, node: value as Node | null, keyPosition })
  }
  for (const entry of merged) if (!own.has(entry.name)) own.set(entry.name, entry)
  return [...own.values()]
}

function mergedEntries(
  context: ReadContext,
  value: unknown,
  path: string,
  place: Position,
  open: readonly YAMLMap[],
): Entry[] {
  const source = follow(context, value)
  const maps = isSeq(source) ? source.items.map((item) => follow(context, item)) : [source]
  return maps.flatMap((map) => {
    if (isMap(map) && !open.includes(map) && open.length < 8) return entriesOf(context, map, path, place, open)
    context.report.problem(
      path,
      'yaml_merge',
      'What << merges in is not a map.',
      'Write <<: *name, where &name marks a map further up.',
      place,
    )
    return []
  })
}
