// Figures of the source: the width of lines, the size of functions, nested ternaries, circles of imports, subjects of
// commits. `node scripts/figures.mjs` prints them for this checkout; another folder may be named. With --all it lists
// every large function and every nested ternary.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import ts from 'typescript'
import { fault } from './check-subjects.mjs'
import { SOURCE_FOLDERS, sourceFiles } from './source-files.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean', default: false } },
})
const ROOT = positionals[0] ?? fileURLToPath(new URL('..', import.meta.url))
const WIDTH = 120
const MOST_LINES = 50
const MOST_CHARACTERS = 2_000

function parse(path) {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
}

function widths(folder) {
  const lengths = sourceFiles(ROOT, folder).flatMap((path) =>
    readFileSync(path, 'utf8').split('\n').map(({ length }) => length)
  )
  const wide = lengths.filter((length) => length > WIDTH).length
  return `${folder}: ${lengths.length} lines, ${wide} over ${WIDTH} characters, the longest ${Math.max(0, ...lengths)}`
}

/** A function's own size: what its inner functions take is theirs too, as a reader meets it. */
function functionsOf(file) {
  const found = []
  const nested = []
  const visit = (node) => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const text = node.getText(file)
      found.push({
        name: nameOf(node),
        place: placeOf(node, file),
        lines: text.split('\n').length,
        characters: text.length,
      })
    }
    if (ts.isConditionalExpression(node) && hasConditional(node)) nested.push(placeOf(node, file))
    ts.forEachChild(node, visit)
  }
  visit(file)
  return { found, nested }
}

function hasConditional({ whenTrue, whenFalse }) {
  return [whenTrue, whenFalse].some((part) => {
    while (ts.isParenthesizedExpression(part)) part = part.expression
    return ts.isConditionalExpression(part)
  })
}

/** `src/server.ts:12` */
function placeOf(node, file) {
  const { line } = file.getLineAndCharacterOfPosition(node.getStart(file))
  return `${relative(ROOT, file.fileName)}:${line + 1}`
}

function nameOf(node) {
  return node.name?.getText() ?? node.parent?.name?.getText() ?? '(unnamed)'
}

function imports({ fileName, statements }) {
  return statements.flatMap((statement) => {
    const module = ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)
      ? statement.moduleSpecifier
      : undefined
    if (module === undefined || !module.text.startsWith('.')) return []
    return [join(dirname(fileName), module.text.replace(/\.js$/, '.ts'))]
  })
}

/** Groups of files each of which reaches the others: Tarjan's strongly connected components. */
function circles(files) {
  const paths = files.map(({ fileName }) => fileName)
  const graph = new Map(files.map((file) => [file.fileName, imports(file).filter((each) => paths.includes(each))]))
  const index = new Map()
  const low = new Map()
  const stack = []
  const groups = []
  const visit = (path) => {
    index.set(path, index.size)
    low.set(path, index.get(path))
    stack.push(path)
    for (const next of graph.get(path)) {
      if (!index.has(next)) visit(next)
      if (stack.includes(next)) low.set(path, Math.min(low.get(path), low.get(next)))
    }
    if (low.get(path) !== index.get(path)) return
    const group = stack.splice(stack.indexOf(path))
    if (group.length > 1) groups.push(group)
  }
  for (const path of paths) if (!index.has(path)) visit(path)
  return groups
}

function subjects() {
  const { stdout } = spawnSync('git', ['log', '--format=%s'], { cwd: ROOT, encoding: 'utf8' })
  const all = stdout.split('\n').filter((line) => line !== '')
  const bad = all.filter((subject) => fault(subject) !== undefined)
  return `subjects of commits: ${all.length}, ${bad.length} that the check refuses`
}

for (const folder of SOURCE_FOLDERS) console.log(widths(folder))
const source = sourceFiles(ROOT, 'src').map(parse)
const parts = source.map(functionsOf)
const functions = parts.flatMap(({ found }) => found)
const large = functions
  .filter(({ lines, characters }) => lines > MOST_LINES || characters > MOST_CHARACTERS)
  .sort((one, other) => other.characters - one.characters)
const beyond = `${MOST_LINES} lines or ${MOST_CHARACTERS} characters`
console.log(`src: ${functions.length} functions, ${large.length} of more than ${beyond}`)
for (const { name, place, lines, characters } of large.slice(0, options.all ? large.length : 10)) {
  console.log(`    ${place} ${name}: ${lines} lines, ${characters} characters`)
}
const ternaries = parts.flatMap(({ nested }) => nested)
console.log(`src: ${ternaries.length} ternaries that hold another one`)
if (options.all) { for (const place of ternaries) console.log(`    ${place}`) }
const groups = circles(source)
console.log(`src: ${groups.length} circles of imports, types included`)
for (const group of groups) console.log(`    ${group.map((path) => relative(ROOT, path)).join(' ')}`)
console.log(subjects())
