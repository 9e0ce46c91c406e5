// docs/configuration.md: one table a section, from the schema, and the few things that hold for every key.
import { KINDS } from '../config/kinds/index.js'
import { twinDescription } from '../config/json-schema.js'
import { CONFIG_REFERENCE_PREFACE } from './config-reference-preface.js'
import { configSchema } from '../config/schema.js'
import { keysOf, mustBeGiven, twinOf, type Shape } from '../config/schema-shape.js'

export function configReference(): string {
  const root = configSchema as Shape
  const sections = Object.entries(root.properties ?? {}).filter(([, shape]) => isSection(shape))
  const single = Object.entries(root.properties ?? {}).filter(([, shape]) => !isSection(shape))
  const parts = sections.map(([name, shape]) => sectionText(name, shape, root))
  const rest = `## Single keys\n\n${table(single.map(([name, shape]) => row(name, shape, root, name)))}`
  return `${[CONFIG_REFERENCE_PREFACE, ...parts, rest].join('\n\n')}\n`
}

function isSection(shape: Shape): boolean {
  return shape.type === 'object' || shape.items?.type === 'object'
}

function sectionText(name: string, shape: Shape, root: Shape): string {
  const inner = shape.items ?? shape
  return [
    `## ${name}`,
    `${shape.description ?? ''} ${requirementOf(name, shape, root)}`,
    table(
      rows(inner, '').map(([path, property, parent, key]) => row(path, property, parent, key)).concat(twinRows(inner)),
    ),
  ].join('\n\n')
}

function requirementOf(name: string, shape: Shape, root: Shape): string {
  if (mustBeGiven(root, name)) return 'Must be given.'
  if (!root.required?.includes(name)) return 'Off unless it is given.'
  return shape.type === 'object' ? 'Every key has a default or is optional.' : 'A list; empty by default.'
}

/** Every key of a section; those of inner sections with their path. */
function rows(section: Shape, prefix: string): [path: string, shape: Shape, parent: Shape, key: string][] {
  return Object.entries(section.properties ?? {}).flatMap(([name, shape]) => {
    const path = `${prefix}${name}`
    const member = shape.anyOf?.find(({ type }) => type === 'object')
    const own: [string, Shape, Shape, string][] = shape.type === 'object' ? [] : [[path, shape, section, name]]
    if (shape.type === 'object') {
      return [
        ...(shape.description ? [[path, shape, section, name] as [string, Shape, Shape, string]] : []),
        ...rows(shape, `${path}.`),
      ]
    }
    if (shape.items?.type === 'object') return [...own, ...rows(shape.items, `${path}[].`)]
    return member ? [...own, ...rows(member, `${path}.`)] : own
  })
}

function twinRows(section: Shape): string[] {
  return Object.entries(section.properties ?? {}).filter(([name, shape]) =>
    shape['x-secret'] && keysOf(section).includes(twinOf(name))
  )
    .map(([name, shape]) => line([`\`${twinOf(name)}\``, 'path', '', twinDescription(name, shape)]))
}

function row(path: string, shape: Shape, parent: Shape, key: string): string {
  return line([`\`${path}\``, typeName(shape), defaultText(shape, mustBeGiven(parent, key)), shape.description ?? ''])
}

function defaultText(shape: Shape, required: boolean): string {
  if (shape.default !== undefined) return `\`${JSON.stringify(shape.default)}\``
  if (!required) return ''
  return shape['x-secret'] ? 'required, or its twin' : 'required'
}

function typeName(shape: Shape): string {
  if (shape.anyOf) return shape.anyOf.map(typeName).join(' or ')
  if (shape.type === 'array') return `list of: ${shape.items ? typeName(shape.items) : ''}`
  if (shape.type === 'object') return 'keys'
  if (shape.enum) return shape.enum.map((value) => `\`${value}\``).join(', ')
  if (shape.type === 'boolean') return 'true or false'
  if (shape.type === 'integer') {
    const word = shape['x-word']
    return `${word === undefined ? '' : `\`${word}\` or `}number, ${shape.minimum} to ${shape.maximum}`
  }
  const kind = KINDS[shape['x-kind'] ?? 'text']
  return shape['x-min'] === undefined ? kind.title : `${kind.title}, ${shape['x-min']} to ${shape['x-max']}`
}

function table(lines: readonly string[]): string {
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...lines].join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
