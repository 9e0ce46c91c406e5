// The titles of the tests in a file, from the outside in, as the compiler reads it.
import ts from 'typescript'

/** What stands in a path where a title is made at run time: no document can name it. */
const MADE = '(made at run time)'

/** One path for each `t.test('title', …)`, however deep; a local `test('title', …)` counts too. */
export function testTitles(source: string, file = 'x.test.ts'): string[][] {
  const paths: string[][] = []
  const visit = (node: ts.Node, path: readonly string[]): void => {
    const title = titleOf(node)
    const here = title === undefined ? path : [...path, title]
    if (title !== undefined && title !== MADE) paths.push([...here])
    ts.forEachChild(node, (child) => visit(child, here))
  }
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.ESNext), [])
  return paths
}

function titleOf(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined
  const { expression: callee, arguments: [title, ...rest] } = node
  const isTest = ts.isPropertyAccessExpression(callee)
    ? callee.name.text === 'test'
    : ts.isIdentifier(callee) && callee.text === 'test'
  if (!isTest || !title || rest.length === 0) return undefined // a regular expression's test() takes one argument
  return ts.isStringLiteralLike(title) ? title.text : MADE
}
