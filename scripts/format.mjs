// The layout of every source file: npm run format writes it, and --check names the files that differ. Lines break at
// 120 characters; whether a list begins on a line of its own is the writer's choice.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createFromBuffer } from '@dprint/formatter'
import typescript from '@dprint/typescript'
import { SOURCE, SOURCE_FOLDERS, sourceFiles } from './source-files.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const formatter = createFromBuffer(readFileSync(typescript.getPath()))
formatter.setConfig({ lineWidth: 120, indentWidth: 2, useTabs: false, newLineKind: 'lf' }, {
  'semiColons': 'asi',
  'quoteStyle': 'preferSingle',
  'quoteProps': 'preserve',
  'trailingCommas': 'onlyMultiLine',
  'typeLiteral.separatorKind': 'comma',
  'typeLiteral.separatorKind.multiLine': 'semiColon',
  'arrowFunction.useParentheses': 'force',
  'functionExpression.spaceBeforeParentheses': true,
  'functionExpression.spaceAfterFunctionKeyword': true,
  'nextControlFlowPosition': 'sameLine',
  'operatorPosition': 'maintain',
  'conditionalExpression.operatorPosition': 'nextLine',
  'conditionalExpression.linePerExpression': true,
  'conditionalType.operatorPosition': 'maintain',
  'useBraces': 'maintain', // the ESLint rule `curly` adds them where a body is not on one line
  'bracePosition': 'sameLine',
  'singleBodyPosition': 'maintain',
  'commentLine.forceSpaceAfterSlashes': false,
  'module.sortImportDeclarations': 'maintain',
  'module.sortExportDeclarations': 'maintain',
  'importDeclaration.sortNamedImports': 'maintain',
  'exportDeclaration.sortNamedExports': 'maintain',
})

const check = process.argv.includes('--check')
const own = readdirSync(ROOT).filter((name) => SOURCE.test(name)).map((name) => join(ROOT, name))
const different = []
for (const path of [...own, ...SOURCE_FOLDERS.flatMap((folder) => sourceFiles(ROOT, folder))]) {
  const before = readFileSync(path, 'utf8')
  const after = formatter.formatText({ filePath: path, fileText: before })
  if (after === before) continue
  different.push(relative(ROOT, path))
  if (!check) writeFileSync(path, after)
}
if (different.length > 0) console.log(`${check ? 'npm run format would change' : 'formatted'}: ${different.join(' ')}`)
process.exitCode = check && different.length > 0 ? 1 : 0
