// The values of Python literals: strings, numbers, lists, dicts, names of literals, look-ups of the environment.
// Nothing is called and nothing is imported; any other expression has the content `unknown`, and its place.
import { childrenOf, type PythonFile, type SyntaxNode } from './python-file.js'
import { readPythonString } from './python-strings.js'
import { put, type Content, type Entries, type Value } from './python-values.js'

const ENVIRONMENT = /^(?:(?:os\s*\.\s*)?environ\s*\.\s*get|(?:os\s*\.\s*)?getenv)$/
const CONSTANTS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null }
const PUNCTUATION = new Set(['(', ')', '[', ']', '{', '}', ','])

/** What the value of a literal may depend on. */
interface Scope {
  readonly file: PythonFile
  /** The values of the names that are bound so far. */
  readonly names: ReadonlyMap<string, Value>
}

/** @param names the values of the names that are bound so far */
export function createEvaluator(file: PythonFile, names: ReadonlyMap<string, Value>) {
  const scope: Scope = { file, names }
  return {
    evaluate: (node: SyntaxNode): Value => evaluate(scope, node),
    items: (parts: SyntaxNode[]): Value[] => items(scope, parts),
  }
}

function unknown(reason: string): Content {
  return { is: 'unknown', reason }
}

function evaluate(scope: Scope, node: SyntaxNode): Value {
  const parts = childrenOf(node)
  if (node.name === 'ParenthesizedExpression' && parts[1] && parts.length === 3) return evaluate(scope, parts[1])
  if (node.name === 'VariableName') return named(scope, node)
  return { content: contentOf(scope, node, parts), at: scope.file.placeOf(node), note: scope.file.commentBeside(node) }
}

/** The object is shared with its name; a text keeps the place of its use. */
function named(scope: Scope, node: SyntaxNode): Value {
  const value = scope.names.get(scope.file.textOf(node))
  if (!value) {
    return {
      content: unknown(`${scope.file.textOf(node)} is not set to a literal earlier in this file`),
      at: scope.file.placeOf(node),
      note: undefined,
    }
  }
  if (value.content.is === 'list' || value.content.is === 'dict') return value
  return { content: value.content, at: scope.file.placeOf(node), note: scope.file.commentBeside(node) ?? value.note }
}

function contentOf(scope: Scope, node: SyntaxNode, parts: SyntaxNode[]): Content {
  switch (node.name) {
    case 'String':
    case 'FormatString':
      return string(scope, node)
    case 'ContinuedString':
      return joined(scope, parts)
    case 'Number':
      return { is: 'number', text: scope.file.textOf(node) }
    case 'Boolean':
    case 'None':
      return { is: 'constant', value: CONSTANTS[scope.file.textOf(node)] ?? null }
    case 'ArrayExpression':
    case 'TupleExpression':
    case 'SetExpression':
      return { is: 'list', items: items(scope, parts) }
    case 'DictionaryExpression':
      return dict(scope, parts)
    case 'CallExpression':
      return call(scope, node, parts)
    case 'MemberExpression':
      return member(scope, node, parts)
    case 'BinaryExpression':
      return product(scope, node, parts)
    case 'UnaryExpression':
      return parts[1]?.name === 'Number' ? { is: 'number', text: scope.file.textOf(node) } : notLiteral(scope, node)
    default:
      return notLiteral(scope, node)
  }
}

function notLiteral(scope: Scope, node: SyntaxNode): Content {
  const [first = '', ...more] = scope.file.textOf(node).split('\n')
  return unknown(
    `${
      first.length > 60 || more.length > 0 ? `${first.slice(0, 57)}...` : first
    } is not a literal, and nothing in this file is executed`,
  )
}

function string(scope: Scope, node: SyntaxNode): Content {
  const reading = readPythonString(scope.file.textOf(node))
  return 'text' in reading
    ? { is: 'text', text: reading.text }
    : unknown(`this string ${'refused' in reading ? reading.refused : 'does not end'}, which is not read`)
}

function joined(scope: Scope, parts: SyntaxNode[]): Content {
  const contents = parts.map((part) => string(scope, part))
  const texts = contents.flatMap((content) => content.is === 'text' ? content.text : [])
  return texts.length === contents.length
    ? { is: 'text', text: texts.join('') }
    : contents.find(({ is }) => is === 'unknown') ?? unknown('this string is not read')
}

function items(scope: Scope, parts: SyntaxNode[]): Value[] {
  const inside = parts.filter(({ name }) => !PUNCTUATION.has(name))
  return inside.flatMap((node, index) => {
    if (node.name === '*') return []
    const value = evaluate(scope, node)
    if (inside[index - 1]?.name !== '*') return [value]
    return value.content.is === 'list' ? value.content.items : [{ ...value, content: notLiteral(scope, node) }]
  })
}

function dict(scope: Scope, parts: SyntaxNode[]): Content {
  const entries: Entries = new Map()
  const inside = parts.filter(({ name }) => !PUNCTUATION.has(name) && name !== ':' && name !== 'AssignOp')
  for (let index = 0; index < inside.length; index += 2) {
    const [first, second] = [inside[index], inside[index + 1]]
    if (!first || !second) return unknown('this dict is not read')
    if (first.name !== '**') put(entries, keyword(scope, first), evaluate(scope, second))
    else if (!spread(entries, evaluate(scope, second))) {
      return unknown(`**${scope.file.textOf(second)} is not a literal dict`)
    }
  }
  return { is: 'dict', entries }
}

/** In `dict(name=...)` the name is the key itself. */
function keyword(scope: Scope, node: SyntaxNode): Value {
  return node.parent?.name === 'ArgList'
    ? { content: { is: 'text', text: scope.file.textOf(node) }, at: scope.file.placeOf(node), note: undefined }
    : evaluate(scope, node)
}

function call(scope: Scope, node: SyntaxNode, [callee, list]: SyntaxNode[]): Content {
  if (!callee || !list) return notLiteral(scope, node)
  const given = childrenOf(list).filter(({ name }) => !PUNCTUATION.has(name))
  if (ENVIRONMENT.test(scope.file.textOf(callee)) && given[0]) return environment(scope, node, given[0], given.slice(1))
  if (scope.file.textOf(callee) !== 'dict' || scope.names.has('dict')) return notLiteral(scope, node)
  const [first] = given
  if (given.length === 1 && first) {
    const entries: Entries = new Map()
    return spread(entries, evaluate(scope, first)) ? { is: 'dict', entries } : notLiteral(scope, node)
  }
  return keywordsAlone(given) ? dict(scope, given) : notLiteral(scope, node)
}

function member(scope: Scope, node: SyntaxNode, parts: SyntaxNode[]): Content {
  const [object, bracket, key] = parts
  if (object && key && bracket?.name === '[' && /^(?:os\s*\.\s*)?environ$/.test(scope.file.textOf(object))) {
    return environment(scope, node, key)
  }
  return notLiteral(scope, node)
}

/** @param others the arguments after the name in a call: a default, also as `default=...` */
function environment(scope: Scope, node: SyntaxNode, key: SyntaxNode, others: readonly SyntaxNode[] = []): Content {
  const { content } = evaluate(scope, key)
  if (content.is !== 'text' || !/^[A-Za-z_]\w*$/.test(content.text)) return notLiteral(scope, node)
  const last = others.at(-1)
  return { is: 'environment', text: content.text, fallback: last && evaluate(scope, last).content }
}

/** `60 * 60 * 8`, as times are written. */
function product(scope: Scope, node: SyntaxNode, [left, operator, right]: SyntaxNode[]): Content {
  if (!left || !right || operator === undefined || scope.file.textOf(operator) !== '*') return notLiteral(scope, node)
  const factors = [left, right].map((each) => evaluate(scope, each).content)
  const numbers = factors.flatMap((factor) => factor.is === 'number' ? Number(factor.text.replaceAll('_', '')) : [])
  const [one, other] = numbers
  return one === undefined || other === undefined
    ? notLiteral(scope, node)
    : { is: 'number', text: String(one * other) }
}

/** `name=value, **more` and nothing else. */
function keywordsAlone(given: readonly SyntaxNode[]): boolean {
  let index = 0
  while (index < given.length) {
    if (given[index]?.name === '**') index += 2
    else if (given[index]?.name === 'VariableName' && given[index + 1]?.name === 'AssignOp') index += 3
    else return false
  }
  return true
}

function spread(entries: Entries, { content }: Value): boolean {
  if (content.is !== 'dict') return false
  for (const { key, value } of content.entries.values()) put(entries, key, value, true)
  return true
}
