// Schema and YAML tree, walked together: every key that is there is judged, every key that is not takes its default,
// and every place is remembered for the rules that check several keys together.
import { isAlias, isMap, isScalar, isSeq } from 'yaml'
import { fold, nearest } from './nearest.js'
import type { Position } from './problem.js'
import { isRefusal } from './kinds/kind.js'
import type { ReadContext } from './read-context.js'
import { readLeaf, readPlain } from './read-leaf.js'
import { entriesOf, follow, placeOfNode, type Entry } from './read-map.js'
import { readSecretFile } from './read-secret-file.js'
import type { Report } from './report.js'
import { keysOf, mustBeGiven, propertyOf, resolvedName, twinOf, type Shape } from './schema-shape.js'

/** Above so many problems hints are of no use, and finding them takes time. */
const MAX_HINTS = 200

/** What was refused is undefined in the result; the report has the reason. */
export function readValue(
  context: ReadContext,
  shape: Shape,
  node: unknown,
  path: string,
  keyPosition: Position,
): unknown {
  const { report } = context
  const place = placeOfNode(context, node, keyPosition)
  report.locate(path, place, keyPosition)
  if (context.budget.left-- <= 0) {
    return context.budget.left === -1
      ? problem(
        report,
        path,
        'yaml_size',
        'The configuration has more than 100,000 values',
        'Check its aliases (*name).',
      )
      : undefined
  }
  const value = follow(context, node)
  if (value === undefined && isAlias(node)) {
    return problem(
      report,
      path,
      'yaml_alias',
      `${path} refers to *${node.source}, but nothing is marked &${node.source}`,
      'Mark the value with & further up, or put quotes around text that begins with *.',
    )
  }
  if (value === null || value === undefined || (isScalar(value) && value.value === null)) {
    return problem(report, path, 'value_missing', `${path} has no value`, 'Give it one, or take the key away.')
  }
  if (shape.anyOf) return readUnion(context, shape.anyOf, value, path, keyPosition)
  if (shape.type === 'object') return readSection(context, shape, value, path, keyPosition)
  if (shape.type === 'array') return readList(context, shape, value, path, place)
  return readLeaf(context, shape, value, path)
}

function problem(
  report: Report,
  path: string,
  code: string,
  message: string,
  remedy: string,
  at?: Position,
): undefined {
  report.problem(path, code, `${message}.`, remedy, at)
}

function readUnion(
  context: ReadContext,
  members: readonly Shape[],
  value: unknown,
  path: string,
  keyPosition: Position,
): unknown {
  const member = members.find((shape) => (shape.type === 'object') === isMap(value)) ?? members[0]
  return member && readValue(context, member, value, path, keyPosition)
}

function readList(context: ReadContext, shape: Shape, value: unknown, path: string, place: Position): unknown {
  const { report } = context
  if (!isSeq(value)) {
    return problem(
      report,
      path,
      'type_wrong',
      `${path} must be a list`,
      isScalar(value) && typeof value.value === 'string'
        ? 'Write ["..."] around a single value, or one value a line, each after a hyphen.'
        : 'Write one value a line, each after a hyphen, or [] for none.',
    )
  }
  if (value.items.length < (shape.minItems ?? 0)) {
    return problem(
      report,
      path,
      'list_empty',
      `${path} is empty`,
      'Give it at least one value, or take the key away if it may be absent.',
    )
  }
  return value.items.map((item, index) => {
    const itemPath = `${path}[${index}]`
    return shape.items && readValue(context, shape.items, item, itemPath, placeOfNode(context, item, place))
  })
}

export function readSection(
  context: ReadContext,
  shape: Shape,
  value: unknown,
  path: string,
  place: Position,
): unknown {
  const { report } = context
  if (!isMap(value)) {
    return problem(
      report,
      path,
      'type_wrong',
      path === '' ? 'The file must hold named sections (server:, entra: and so on)' : `${path} must hold keys`,
      `It knows ${keysOf(shape).join(', ')}.`,
      path === '' ? placeOfNode(context, value, place) : undefined,
    )
  }
  const entries = new Map(entriesOf(context, value, path, place).map((entry) => [entry.name, entry]))
  const result: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(shape.properties ?? {})) {
    const read = readKey(context, shape, property, name, path, entries)
    result[resolvedName(name, property)] = read
    entries.delete(name)
    if (property['x-secret']) entries.delete(twinOf(name))
  }
  for (const { name, keyPosition } of entries.values()) unknownKey(context, shape, name, path, keyPosition)
  return result
}

function readKey(
  context: ReadContext,
  section: Shape,
  shape: Shape,
  name: string,
  path: string,
  entries: ReadonlyMap<string, Entry>,
): unknown {
  const { report } = context
  const at = (key: string) => path === '' ? key : `${path}.${key}`
  const entry = entries.get(name)
  const twin = shape['x-secret'] ? entries.get(twinOf(name)) : undefined
  const value = entry && readValue(context, shape, entry.node, at(name), entry.keyPosition)
  if (twin) {
    report.locate(at(twinOf(name)), placeOfNode(context, twin.node, twin.keyPosition), twin.keyPosition)
    if (entry) {
      return problem(
        report,
        at(twinOf(name)),
        'secret_both',
        `${at(name)} and ${at(twinOf(name))} are both given`,
        'Keep one of the two.',
        twin.keyPosition,
      )
    }
    const node = follow(context, twin.node)
    if (!isScalar(node) || node.value === null) {
      return problem(
        report,
        at(twinOf(name)),
        'value_missing',
        `${at(twinOf(name))} names no file`,
        'Write the path of the file that holds the secret.',
      )
    }
    return readSecretFile(context, shape, node, at(twinOf(name)))
  }
  if (entry) return value
  if (!mustBeGiven(section, name)) return defaultOf(context, section, name)
  if (context.yaml.broken) return undefined
  const remedy = shape['x-secret']
    ? `Add ${name}, or ${twinOf(name)} with the path of a file.`
    : `Add ${name}: ${shape.description ?? ''}`
  return problem(report, at(name), 'key_missing', `${at(name)} is missing`, remedy, report.keyPositionOf(path))
}

/** Defaults are written as an operator would write them, and read the same way. */
function defaultOf(context: ReadContext, section: Shape, name: string): unknown {
  const shape = propertyOf(section, name)
  if (!shape || !section.required?.includes(name)) return undefined
  return plain(context, shape, shape.default)
}

function plain(context: ReadContext, shape: Shape, value: unknown): unknown {
  if (shape.type === 'object') {
    return Object.fromEntries(
      Object.entries(shape.properties ?? {}).map((
        [name, property],
      ) => [resolvedName(name, property), defaultOf(context, shape, name)]),
    )
  }
  if (Array.isArray(value)) return value.map((item) => shape.items && plain(context, shape.items, item))
  const reading = readPlain(context, shape, { value, shown: String(value) })
  if (isRefusal(reading)) throw new Error(`a default is wrong: ${String(value)} ${reading.message}`)
  return reading.value
}

function unknownKeyRemedy(
  similar: string | undefined,
  sectionsWithTheKey: readonly string[],
  known: readonly string[],
): string {
  if (similar !== undefined) return `Did you mean ${similar}?`
  if (sectionsWithTheKey.length > 0) return `It belongs in ${sectionsWithTheKey.join(' or ')}.`
  return `Known are ${known.join(', ')}.`
}

function unknownKey(context: ReadContext, section: Shape, name: string, path: string, keyPosition: Position): void {
  const where = path === '' ? 'at the top of the file' : `in ${path.replace(/\[\d+\]/g, '')}`
  const known = keysOf(section)
  const meant = context.report.problems.length < MAX_HINTS ? nearest(name, known) : undefined
  const elsewhere = Object.entries(context.root.properties ?? {}).filter(([, shape]) =>
    shape !== section && keysOf(shape).some((key) => fold(key) === fold(name))
  ).map(([key]) => key)
  context.report.problem(
    path === '' ? name : `${path}.${name}`,
    'key_unknown',
    `There is no key ${JSON.stringify(name.slice(0, 80))} ${where}.`,
    unknownKeyRemedy(meant, elsewhere, known),
    keyPosition,
  )
}
