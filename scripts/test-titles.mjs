// The tests in a file, as the compiler reads them: the titles from the outside in, and the guards that the comment
// `// proves: NAME[, NAME]` above a test names.
import ts from 'typescript'

/** Where a title is neither a literal nor a template. */
const UNKNOWN = '(made at run time)'
const PROVES = /^\/\/ proves: (.*)$/

/**
 * One for each `t.test('title', …)`, however deep; a local `test('title', …)` counts too. The title of a template is
 * its text, with `${…}`.
 */
export function testsIn(source, file = 'x.test.ts') {
  const tests = []
  const visit = (node, path) => {
    const title = titleOf(node)
    const here = title === undefined ? path : [...path, title]
    if (title !== undefined && title !== UNKNOWN) tests.push({ titles: here, proves: namesAbove(node, source) })
    ts.forEachChild(node, (child) => visit(child, here))
  }
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.ESNext, true), [])
  return tests
}

/** One path of titles for each test that a document can quote. */
export function testTitles(source, file) {
  return testsIn(source, file).map(({ titles }) => titles).filter((titles) => !isComputed(titles.at(-1)))
}

export function isComputed(title) {
  return title === UNKNOWN || title.includes('${')
}

function titleOf(node) {
  if (!ts.isCallExpression(node)) return undefined
  const { expression: callee, arguments: [title, ...rest] } = node
  const isTest = ts.isPropertyAccessExpression(callee)
    ? callee.name.text === 'test'
    : ts.isIdentifier(callee) && callee.text === 'test'
  if (!isTest || !title || rest.length === 0) return undefined // a regular expression's test() takes one argument
  if (ts.isStringLiteralLike(title)) return title.text
  return ts.isTemplateExpression(title) ? title.getText().slice(1, -1) : UNKNOWN
}

function namesAbove(call, source) {
  let node = call.parent
  while (ts.isAwaitExpression(node) || ts.isVoidExpression(node)) node = node.parent
  if (!ts.isExpressionStatement(node) && !ts.isReturnStatement(node)) return []
  return (ts.getLeadingCommentRanges(source, node.getFullStart()) ?? []).flatMap(({ pos, end }) =>
    PROVES.exec(source.slice(pos, end))?.[1].split(', ') ?? []
  )
}
