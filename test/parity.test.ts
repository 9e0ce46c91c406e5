// docs/parity.md says which test proves each sentence about NetBox's behaviour: the tests, the guards and the sentences
// are there, every one of them.
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import ts from 'typescript'

interface Guard { readonly file: string, readonly find: string, readonly replace: string, readonly test: string }
interface Row { readonly id: string, readonly cells: readonly string[], readonly proof: string }

const read = (file: string): string => readFileSync(file, 'utf8')
const guards = JSON.parse(read('test/guards.json')) as Readonly<Record<string, Guard>>
const rows: readonly Row[] = read('docs/parity.md').split('\n').filter((line) => /^\| (step|map|trap)-/.test(line)).map((line) => {
  const cells = line.split(/(?<!\\) ?\| ?/).slice(1, -1)
  return { id: cells[0] ?? '', cells, proof: cells[3] ?? '' }
})

/** Titles of a test file as they are nested: `outer › inner`. Titles that are made at run time do not count as proof. */
function titles(file: string): ReadonlySet<string> {
  const found = new Set<string>()
  const visit = (node: ts.Node, above: string): void => {
    let path = above
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && node.expression.getText() === 't.test') {
      const [title] = node.arguments
      if (title && ts.isStringLiteralLike(title)) {
        path = above === '' ? title.text : `${above} › ${title.text}`
        found.add(path)
      }
    }
    ts.forEachChild(node, (child) => visit(child, path))
  }
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true), '')
  return found
}

const proofOf = ({ proof }: Row): { file: string, title: string, guard: string | undefined } | undefined => {
  const [, file = '', title = '', guard] = /^`(test\/[\w/.-]+)` › (.+?)(?:\. Guard: ([\w-]+))?$/.exec(proof) ?? []
  return file === '' ? undefined : { file, title, guard }
}

t.test('every sentence is there: eleven steps, seven points, twenty-nine traps', async (t) => {
  const demanded = [...Array.from({ length: 11 }, (_, n) => `step-${n + 1}`), ...Array.from({ length: 7 }, (_, n) => `map-${n + 1}`), ...Array.from({ length: 29 }, (_, n) => `trap-${n + 1}`)]
  for (const id of demanded) t.ok(rows.some((row) => row.id.replace(/[a-z]$/, '') === id), id)
  t.equal(new Set(rows.map(({ id }) => id)).size, rows.length, 'no id twice')
  for (const row of rows) t.equal(row.cells.length, 4, row.id)
})

t.test('every proof is a test that exists, or a page', async (t) => {
  const known = new Map<string, ReadonlySet<string>>()
  for (const row of rows) {
    const proof = proofOf(row)
    if (!proof) t.match(row.proof, /^documentation: \[.+\]\([\w-]+\.md(#[\w-]+)?\)$/, row.id)
    else if (!existsSync(proof.file)) t.fail(`${row.id}: ${proof.file}`)
    else {
      if (!known.has(proof.file)) known.set(proof.file, titles(proof.file))
      t.ok(known.get(proof.file)?.has(proof.title), `${row.id}: ${proof.file} › ${proof.title}`)
    }
  }
})

t.test('every guard is one place in the program, and proves the row that names it', async (t) => {
  const named = new Set<string>()
  for (const row of rows) {
    const proof = proofOf(row)
    if (proof?.guard === undefined) continue
    named.add(proof.guard)
    t.equal(guards[proof.guard]?.test, proof.file, `${row.id}: ${proof.guard}`)
  }
  for (const [name, { file, find, replace }] of Object.entries(guards)) {
    t.equal(read(file).split(find).length - 1, 1, `${name} is in ${file} once`)
    t.not(find, replace)
    t.ok(named.has(name) || name.startsWith('token-'), `${name} is named in docs/parity.md, or is about tokens`)
  }
})
