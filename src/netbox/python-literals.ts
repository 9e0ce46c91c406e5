// What literals of Python mean: strings, numbers, lists, dicts, names of literals, look-ups of the environment. Nothing
// is called and nothing is imported; whatever is more than a literal has the content `unknown`, and its place.
import { childrenOf, type PythonFile, type SyntaxNode } from './python-file.js'
import { readPythonString } from './python-strings.js'
import { put, type Content, type Entries, type Value } from './python-values.js'

const ENVIRONMENT = /^(?:(?:os\s*\.\s*)?environ\s*\.\s*get|(?:os\s*\.\s*)?getenv)$/
const CONSTANTS: Readonly<Record<string, boolean | null>> = { True: true, False: false, None: null }
const PUNCTUATION = new Set(['(', ')', '[', ']', '{', '}', ','])

/** @param names what the names that are bound so far stand for */
export function createEvaluator(file: PythonFile, names: ReadonlyMap<string, Value>) {
  const { textOf, placeOf } = file
  const unknown = (says: string): Content => ({ is: 'unknown', says })

  function evaluate(node: SyntaxNode): Value {
    const parts = childrenOf(node)
    if (node.name === 'ParenthesizedExpression' && parts[1] && parts.length === 3) return evaluate(parts[1])
    if (node.name === 'VariableName') return named(node)
    return { content: contentOf(node, parts), at: placeOf(node), note: file.commentBeside(node) }
  }

  /** The object is shared with its name; a text is told apart by where it is used. */
  function named(node: SyntaxNode): Value {
    const value = names.get(textOf(node))
    if (!value) {
      return {
        content: unknown(`${textOf(node)} is not set to a literal earlier in this file`),
        at: placeOf(node),
        note: undefined,
      }
    }
    if (value.content.is === 'list' || value.content.is === 'dict') return value
    return { content: value.content, at: placeOf(node), note: file.commentBeside(node) ?? value.note }
  }

  function contentOf(node: SyntaxNode, parts: SyntaxNode[]): Content {
    switch (node.name) {
      case 'String':
      case 'FormatString':
        return string(node)
      case 'ContinuedString':
        return joined(parts)
      case 'Number':
        return { is: 'number', text: textOf(node) }
      case 'Boolean':
      case 'None':
        return { is: 'constant', value: CONSTANTS[textOf(node)] ?? null }
      case 'ArrayExpression':
      case 'TupleExpression':
      case 'SetExpression':
        return { is: 'list', items: items(parts) }
      case 'DictionaryExpression':
        return dict(parts)
      case 'CallExpression':
        return call(node, parts)
      case 'MemberExpression':
        return member(node, parts)
      case 'BinaryExpression':
        return product(node, parts)
      case 'UnaryExpression':
        return parts[1]?.name === 'Number' ? { is: 'number', text: textOf(node) } : notLiteral(node)
      default:
        return notLiteral(node)
    }
  }

  function notLiteral(node: SyntaxNode): Content {
    const [first = '', ...more] = textOf(node).split('\n')
    return unknown(
      `${
        first.length > 60 || more.length > 0 ? `${first.slice(0, 57)}...` : first
      } is not a literal, and nothing in this file is executed`,
    )
  }

  function string(node: SyntaxNode): Content {
    const reading = readPythonString(textOf(node))
    return 'text' in reading
      ? { is: 'text', text: reading.text }
      : unknown(`this string ${'refused' in reading ? reading.refused : 'does not end'}, which is not read`)
  }

  function joined(parts: SyntaxNode[]): Content {
    const contents = parts.map(string)
    const texts = contents.flatMap((content) => content.is === 'text' ? content.text : [])
    return texts.length === contents.length
      ? { is: 'text', text: texts.join('') }
      : contents.find(({ is }) => is === 'unknown') ?? unknown('this string is not read')
  }

  function items(parts: SyntaxNode[]): Value[] {
    const inside = parts.filter(({ name }) => !PUNCTUATION.has(name))
    return inside.flatMap((node, index) => {
      if (node.name === '*') return []
      const value = evaluate(node)
      if (inside[index - 1]?.name !== '*') return [value]
      return value.content.is === 'list' ? value.content.items : [{ ...value, content: notLiteral(node) }]
    })
  }

  function dict(parts: SyntaxNode[]): Content {
    const entries: Entries = new Map()
    const inside = parts.filter(({ name }) => !PUNCTUATION.has(name) && name !== ':' && name !== 'AssignOp')
    for (let index = 0; index < inside.length; index += 2) {
      const [first, second] = [inside[index], inside[index + 1]]
      if (!first || !second) return unknown('this dict is not read')
      if (first.name !== '**') put(entries, keyword(first), evaluate(second))
      else if (!spread(entries, evaluate(second))) return unknown(`**${textOf(second)} is not a literal dict`)
    }
    return { is: 'dict', entries }
  }

  /** In `dict(name=...)` the name is the key itself. */
  function keyword(node: SyntaxNode): Value {
    return node.parent?.name === 'ArgList'
      ? { content: { is: 'text', text: textOf(node) }, at: placeOf(node), note: undefined }
      : evaluate(node)
  }

  function call(node: SyntaxNode, [callee, list]: SyntaxNode[]): Content {
    if (!callee || !list) return notLiteral(node)
    const given = childrenOf(list).filter(({ name }) => !PUNCTUATION.has(name))
    if (ENVIRONMENT.test(textOf(callee)) && given[0]) return environment(node, given[0], given.slice(1))
    if (textOf(callee) !== 'dict' || names.has('dict')) return notLiteral(node)
    const [first] = given
    if (given.length === 1 && first) {
      const entries: Entries = new Map()
      return spread(entries, evaluate(first)) ? { is: 'dict', entries } : notLiteral(node)
    }
    return keywordsAlone(given) ? dict(given) : notLiteral(node)
  }

  function member(node: SyntaxNode, parts: SyntaxNode[]): Content {
    const [object, bracket, key] = parts
    if (object && key && bracket?.name === '[' && /^(?:os\s*\.\s*)?environ$/.test(textOf(object))) {
      return environment(node, key)
    }
    return notLiteral(node)
  }

  /** @param others what follows the name in a call: a default, also as `default=...` */
  function environment(node: SyntaxNode, key: SyntaxNode, others: readonly SyntaxNode[] = []): Content {
    const { content } = evaluate(key)
    if (content.is !== 'text' || !/^[A-Za-z_]\w*$/.test(content.text)) return notLiteral(node)
    const last = others.at(-1)
    return { is: 'environment', text: content.text, fallback: last && evaluate(last).content }
  }

  /** `60 * 60 * 8`, as times are written. */
  function product(node: SyntaxNode, [left, operator, right]: SyntaxNode[]): Content {
    if (!left || !right || operator === undefined || textOf(operator) !== '*') return notLiteral(node)
    const factors = [left, right].map((each) => evaluate(each).content)
    const numbers = factors.flatMap((factor) => factor.is === 'number' ? Number(factor.text.replaceAll('_', '')) : [])
    const [one, other] = numbers
    return one === undefined || other === undefined ? notLiteral(node) : { is: 'number', text: String(one * other) }
  }

  return { evaluate, items }
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
