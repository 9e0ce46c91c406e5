// What the names at the top of a Python file stand for at its end, as far as literals say. Whatever may change an
// object in a way that is not read (a method, a loop, an `if`) makes it unknown: half a mapping must not pass for the
// whole.
import { childrenOf, type PythonFile, type SyntaxNode } from './python-file.js'
import { createEvaluator } from './python-literals.js'
import { itemNamed, put, type Value } from './python-values.js'

const HARMLESS = new Set([
  'PassStatement',
  'FunctionDefinition',
  'ClassDefinition',
  'DecoratedStatement',
  'AssertStatement',
])
const MAX_ITEMS = 10
const WORDS = /^[A-Za-z_]\w*/

export function readNames(file: PythonFile): ReadonlyMap<string, Value> {
  const names = new Map<string, Value>()
  const { evaluate, items } = createEvaluator(file, names)

  function assign(statement: SyntaxNode): void {
    const groups: SyntaxNode[][] = [[]]
    for (const part of childrenOf(statement)) {
      if (part.name === 'AssignOp') groups.push([])
      else if (part.name !== 'TypeDef') groups.at(-1)?.push(part)
    }
    const right = groups.length > 1 ? groups.pop() ?? [] : []
    const [first] = right
    if (!first) return // `NAME: str` alone
    const value: Value = right.length === 1 && first.name !== '*'
      ? evaluate(first)
      : { content: { is: 'list', items: items(right) }, at: file.placeOf(first), note: undefined }
    for (const target of groups) bind(target, value, statement)
  }

  function bind([target, ...others]: readonly SyntaxNode[], value: Value, statement: SyntaxNode): void {
    if (target?.name === 'VariableName' && others.length === 0) names.set(file.textOf(target), value)
    else if (!target || others.length > 0 || !putItem(target, value)) spoil(statement)
  }

  /** `NAME['key'] = value`, also deeper. */
  function putItem(target: SyntaxNode, value: Value): boolean {
    const [object, bracket, key, end] = childrenOf(target)
    if (!object || !key || bracket?.name !== '[' || end?.name !== ']') return false
    const dict = itemOf(object)
    if (dict?.content.is !== 'dict' || evaluate(key).content.is !== 'text') return false
    put(dict.content.entries, evaluate(key), value, true)
    return true
  }

  function itemOf(node: SyntaxNode, depth = 0): Value | undefined {
    if (node.name === 'VariableName') return names.get(file.textOf(node))
    const [object, bracket, key] = childrenOf(node)
    if (node.name !== 'MemberExpression' || bracket?.name !== '[' || !object || !key || depth > MAX_ITEMS) {
      return undefined
    }
    const dict = itemOf(object, depth + 1)
    const wanted = evaluate(key).content
    if (dict?.content.is !== 'dict' || wanted.is !== 'text') return undefined
    return itemNamed(dict.content.entries, wanted.text)
  }

  /** Every name that the statement mentions, and the objects behind it, at any depth. */
  function spoil(statement: SyntaxNode): void {
    const at = file.placeOf(statement)
    const content = {
      is: 'unknown',
      says: `line ${at.line} can change it in a way that only Python itself can follow`,
    } as const
    statement.cursor().iterate(({ name, from, to }) => {
      if (name !== 'VariableName') return
      const word = WORDS.exec(file.textOf(statement).slice(from - statement.from, to - statement.from))?.[0]
      if (word === undefined) return
      const value = names.get(word)
      if (value) spoilValue(value, content)
      if (isSetting(word)) names.set(word, { content, at, note: undefined })
    })
  }

  for (const statement of file.statements) {
    if (statement.name === 'AssignStatement') assign(statement)
    else if (!HARMLESS.has(statement.name) && !isText(statement)) spoil(statement)
  }
  return names
}

/** A setting inside an `if` has no value yet that could be spoilt, but it is there. */
function isSetting(word: string): boolean {
  return /^(?:SOCIAL_AUTH|REMOTE_AUTH|LOGIN|LOGOUT)_/.test(word) || word === 'ALLOWED_HOSTS'
}

function spoilValue(value: Value, content: Value['content']): void {
  const { content: before } = value
  if (before.is !== 'list' && before.is !== 'dict') return
  value.content = content
  for (const part of before.is === 'list' ? before.items : [...before.entries.values()].map((entry) => entry.value)) {
    spoilValue(part, content)
  }
}

/** A string as a statement is a comment. */
function isText(statement: SyntaxNode): boolean {
  return statement.name === 'ExpressionStatement' &&
    childrenOf(statement).every(({ name }) => name === 'String' || name === 'ContinuedString')
}
