// The values of the names at the top level of a Python file after its last statement, as far as literals determine
// them. A statement that may change an object in a way that is not evaluated (a method, a loop, an `if`) makes the
// object unknown: half a mapping must not pass for the whole.
import { childrenOf, type PythonFile, type SyntaxNode } from './python-file.js'
import { createEvaluator } from './python-literals.js'
import { itemNamed, put, type Content, type Value } from './python-values.js'

const HARMLESS = new Set([
  'PassStatement',
  'FunctionDefinition',
  'ClassDefinition',
  'DecoratedStatement',
  'AssertStatement',
])
const MAX_ITEMS = 10
const WORDS = /^[A-Za-z_]\w*/

/** A file, and the values of the names that its statements have bound so far. */
interface ModuleScope {
  readonly file: PythonFile
  readonly names: Map<string, Value>
  readonly literals: ReturnType<typeof createEvaluator>
}

export function readNames(file: PythonFile): ReadonlyMap<string, Value> {
  const names = new Map<string, Value>()
  const scope: ModuleScope = { file, names, literals: createEvaluator(file, names) }
  for (const statement of file.statements) {
    if (statement.name === 'AssignStatement') assign(scope, statement)
    else if (!HARMLESS.has(statement.name) && !isText(statement)) markUnknown(scope, statement)
  }
  return names
}

function assign(scope: ModuleScope, statement: SyntaxNode): void {
  const groups: SyntaxNode[][] = [[]]
  for (const part of childrenOf(statement)) {
    if (part.name === 'AssignOp') groups.push([])
    else if (part.name !== 'TypeDef') groups.at(-1)?.push(part)
  }
  const right = groups.length > 1 ? groups.pop() ?? [] : []
  const [first] = right
  if (!first) return // `NAME: str` alone
  const value: Value = right.length === 1 && first.name !== '*'
    ? scope.literals.evaluate(first)
    : { content: { is: 'list', items: scope.literals.items(right) }, at: scope.file.placeOf(first), note: undefined }
  for (const target of groups) bind(scope, target, value, statement)
}

function bind(
  scope: ModuleScope,
  [target, ...others]: readonly SyntaxNode[],
  value: Value,
  statement: SyntaxNode,
): void {
  if (target?.name === 'VariableName' && others.length === 0) scope.names.set(scope.file.textOf(target), value)
  else if (!target || others.length > 0 || !putItem(scope, target, value)) markUnknown(scope, statement)
}

/** `NAME['key'] = value`, also deeper. */
function putItem(scope: ModuleScope, target: SyntaxNode, value: Value): boolean {
  const [object, bracket, key, end] = childrenOf(target)
  if (!object || !key || bracket?.name !== '[' || end?.name !== ']') return false
  const dict = itemOf(scope, object)
  if (dict?.content.is !== 'dict') return false
  const name = scope.literals.evaluate(key)
  if (name.content.is !== 'text') return false
  put(dict.content.entries, name, value, true)
  return true
}

function itemOf(scope: ModuleScope, node: SyntaxNode, depth = 0): Value | undefined {
  if (node.name === 'VariableName') return scope.names.get(scope.file.textOf(node))
  const [object, bracket, key] = childrenOf(node)
  if (node.name !== 'MemberExpression' || bracket?.name !== '[' || !object || !key || depth > MAX_ITEMS) {
    return undefined
  }
  const dict = itemOf(scope, object, depth + 1)
  const name = scope.literals.evaluate(key).content
  if (dict?.content.is !== 'dict' || name.is !== 'text') return undefined
  return itemNamed(dict.content.entries, name.text)
}

/** Every name in the statement becomes unknown, and the objects behind it, at any depth. */
function markUnknown({ file, names }: ModuleScope, statement: SyntaxNode): void {
  const at = file.placeOf(statement)
  const content: Content = {
    is: 'unknown',
    reason: `line ${at.line} can change it in a way that only Python itself can follow`,
  }
  statement.cursor().iterate(({ name, from, to }) => {
    if (name !== 'VariableName') return
    const word = WORDS.exec(file.textOf(statement).slice(from - statement.from, to - statement.from))?.[0]
    if (word === undefined) return
    const value = names.get(word)
    if (value) markValueUnknown(value, content)
    if (isSetting(word)) names.set(word, { content, at, note: undefined })
  })
}

/** A setting that is assigned inside an `if` has no value yet, but the file has the setting. */
function isSetting(word: string): boolean {
  return /^(?:SOCIAL_AUTH|REMOTE_AUTH|LOGIN|LOGOUT)_/.test(word) || word === 'ALLOWED_HOSTS'
}

function markValueUnknown(value: Value, content: Content): void {
  const { content: before } = value
  if (before.is !== 'list' && before.is !== 'dict') return
  value.content = content
  for (const part of before.is === 'list' ? before.items : [...before.entries.values()].map((entry) => entry.value)) {
    markValueUnknown(part, content)
  }
}

/** A string as a statement is a comment. */
function isText(statement: SyntaxNode): boolean {
  return statement.name === 'ExpressionStatement' &&
    childrenOf(statement).every(({ name }) => name === 'String' || name === 'ContinuedString')
}
