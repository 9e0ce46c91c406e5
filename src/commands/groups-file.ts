// The file of `groups apply` and `groups export`: YAML, under version control.
import { readFileSync } from 'node:fs'
import { Type, type Static } from 'typebox'
import Value from 'typebox/value'
import { LineCounter, parseDocument, stringify } from 'yaml'
import { GatehouseError } from '../core/errors.js'
import type { GroupDefinition, GroupView } from '../store/groups.js'

const groupsFile = Type.Object({
  groups: Type.Array(Type.Object({
    name: Type.String(),
    description: Type.Optional(Type.String()),
    permissions: Type.Optional(Type.Array(Type.String())),
  }, { additionalProperties: false })),
}, { additionalProperties: false })

/** @throws `file_unreadable` with the place of every problem */
export function readGroupsFile(file: string): readonly GroupDefinition[] {
  const remedy = 'It is a list like: groups: [{ name: Network Engineers, permissions: [netbox.view] }]'
  const text = readText(file)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [broken] = document.errors
  if (broken) throw new GatehouseError('file_unreadable', { detail: `${file}:${broken.linePos?.[0].line ?? 1}:${broken.linePos?.[0].col ?? 1}: ${broken.message.split('\n')[0]}`, remedy })
  const value: unknown = document.toJS()
  if (!Value.Check(groupsFile, value)) {
    const found = [...Value.Errors(groupsFile, value)].map((error) => `${place(file, error.instancePath, document, lines)}: ${error.message}`)
    throw new GatehouseError('file_unreadable', { detail: found.join('\n'), remedy })
  }
  const { groups } = value as Static<typeof groupsFile>
  const doubled = groups.find((group, index) => groups.findIndex((other) => other.name === group.name) < index)
  if (doubled) throw new GatehouseError('file_unreadable', { detail: `${file}: the group ${doubled.name} is there twice`, remedy: 'Keep one of them.' })
  return groups
}

function place(file: string, pointer: string, document: ReturnType<typeof parseDocument>, lines: LineCounter): string {
  const path = pointer.split('/').slice(1).map((part) => /^\d+$/.test(part) ? Number(part) : part)
  const node = document.getIn(path, true)
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range as [number] | undefined : undefined
  const { line, col } = lines.linePos(range?.[0] ?? 0)
  return `${file}:${line}:${col}${pointer === '' ? '' : ` (${pointer.slice(1).replaceAll('/', '.')})`}`
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatehouseError('file_unreadable', { cause, detail: `${file} cannot be read: ${cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)}`, remedy: 'Give the path of a file that this user may read.' })
  }
}

export function formatGroupsFile(groups: readonly GroupView[]): string {
  return stringify({ groups: groups.map(({ name, description, permissions }) => ({ name, ...(description === '' ? {} : { description }), ...(permissions.length === 0 ? {} : { permissions: [...permissions] }) })) })
}
