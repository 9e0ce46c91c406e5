// docs/glossary.md holds: no document uses a word that the glossary refuses, and src uses none of its last table.
// A line of prose has one sentence and at most 120 characters.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const GLOSSARY = 'docs/glossary.md'
/** Written by a program or by a test run, from words that stand in src or in test. */
const GENERATED = ['docs/api.md', 'docs/configuration.md', 'docs/errors.md', 'docs/faults.md', 'docs/proxies.md']
/** Their rows quote the titles of tests. */
const ROWS_OF_TITLES = ['docs/advisories.md', 'docs/parity.md']
const WIDEST = 120

/** Of the changelog the newest section: what was released stays as it is. */
const read = (file: string): string => {
  const text = readFileSync(file, 'utf8')
  return file === 'CHANGELOG.md' ? text.split(/^(?=## )/m).slice(0, 2).join('') : text
}
const documents = [...readdirSync('.'), ...['docs', 'examples', 'integrations'].flatMap(filesUnder)]
  .filter((file) => file.endsWith('.md') && !file.includes('node_modules'))
  .filter((file) => !GENERATED.includes(file))

const [entries = '', ofSource = ''] = read(GLOSSARY).split(/^## Words that the source does not use.*$/m)
const quoted = (text: string): string[] => [...text.matchAll(/"([^"]+)"/g)].map(([, word = '']) => word)
const cellsOf = (line: string): string[] => line.split('|').slice(1, -1).map((cell) => cell.trim())
const rowsOf = (text: string): string[][] => text.split('\n').filter((line) => line.startsWith('| ')).map(cellsOf)
const refused = rowsOf(entries).flatMap(([, , notUsed = '']) => quoted(notUsed))
const refusedInSource = rowsOf(ofSource).flatMap(([, words = '']) => quoted(words))

t.test('the glossary has rows of three cells, and each refused word once', async (t) => {
  for (const row of rowsOf(entries)) t.equal(row.length, 3, row.join(' | '))
  t.ok(refused.length > 40, `${refused.length} words`)
  t.strictSame(refused, [...new Set(refused)])
  t.ok(refusedInSource.length > 10, `${refusedInSource.length} words`)
  for (const word of refusedInSource) t.ok(refused.includes(word), `${word} is in the glossary`)
})

t.test('a refused word is found in prose, in names and across lines, and is not found in code', async (t) => {
  t.strictSame(wordsIn(proseOf('It was looked up\nagain.'), ['looked up again']), ['looked up again'])
  t.strictSame(wordsIn(proseOf('Answers `at once`.\n```\nat once\n```\n'), ['at once']), [])
  t.strictSame(wordsIn(proseOf('See [it](at-once.md), not [at once](x.md).'), ['at once']), ['at once'])
  t.strictSame(wordsIn(proseOf('<!-- begin -->\n| at once |\n<!-- end -->\n'), ['at once']), [])
  t.strictSame(wordsIn(sourceWords('const ownStep = 1'), ['own step']), ['own step'])
  t.strictSame(wordsIn(sourceWords('// is read at\n// once'), ['at once']), ['at once'])
  t.strictSame(wordsIn(sourceWords('format once'), ['at once']), [])
})

t.test('no document uses a word that the glossary refuses', async (t) => {
  for (const file of documents) {
    const text = file === GLOSSARY ? withoutRefusals(read(file)) : read(file)
    t.strictSame(wordsIn(proseOf(withoutTitles(file, text)), refused), [], file)
  }
})

t.test('no name, comment or text of src uses a word of the last table', async (t) => {
  for (const file of filesUnder('src').filter((name) => /\.(ts|js|html|css)$/.test(name))) {
    t.strictSame(wordsIn(sourceWords(`${file}\n${read(file)}`), refusedInSource), [], file)
  }
})

t.test('no line of prose is wider than 120 characters, but for links', async (t) => {
  for (const file of documents) {
    const wide = outsideCode(read(file)).split('\n').filter((line) =>
      !/^ *\|/.test(line) && line.replace(/\]\([^)]*\)/g, ']').length > WIDEST && !line.startsWith('![')
    )
    t.strictSame(wide, [], file)
  }
})

t.test('a line of prose has one sentence, after a lead in bold type', async (t) => {
  const two = /[\p{L}\p{N})"'*][.?!]["')]* +["'(*[]*[\p{Lu}*]/u
  t.match('It starts. It ends.', two)
  t.match('It starts `here`. `check` ends.'.replace(/`[^`]*`/g, '*'), two)
  t.notMatch('It takes 1.5 seconds, e.g. here.', two)
  for (const file of documents) {
    const lines = proseOf(withoutTitles(file, read(file))).split('\n')
      .filter((line) => !/^ *(?:\||!\[|#)/.test(line))
      .map((line) => line.replace(/^ *(?:- |\d+\. )?(?:\*\*[^*]+\*\*)?/, ''))
    t.strictSame(lines.filter((line) => two.test(line)), [], file)
  }
})

function wordsIn(text: string, words: readonly string[]): string[] {
  const spaced = ` ${text.toLowerCase().replace(/[^\p{L}\p{N}'*]+/gu, ' ')} `
  return words.filter((word) => spaced.includes(` ${word.toLowerCase()} `))
}

/** What is read as English: neither code nor the targets of links nor what a test writes between two comments. */
function proseOf(markdown: string): string {
  return outsideCode(markdown)
    .replace(/<!-- (?!end)[^]*?<!-- end[^]*?-->/g, '')
    .replace(/`[^`]*`/g, '*')
    .replace(/\]\([^)]*\)/g, ']')
}

function outsideCode(markdown: string): string {
  return markdown.replace(/^( *)```[^]*?^\1```$/gm, '')
}

/** camelCase, kebab-case and snake_case names become words; a comment goes on over the start of its next line. */
function sourceWords(source: string): string {
  return source.replace(/\n\s*(?:\/\/|\*)/g, ' ').replace(/([a-z0-9])([A-Z])/g, '$1 $2')
}

/** Rows that end with the title of a test: it is quoted as it stands in the test. */
/** Of the tables of tests the cells with the titles are left out; elsewhere a title ends its line or its cell. */
function withoutTitles(file: string, text: string): string {
  const title = ROWS_OF_TITLES.includes(file) ? / › [^|\n]*/g : /` › [^|\n]*/g
  return text.replace(title, '`')
}

function withoutRefusals(text: string): string {
  return text.replace(/"[^"]*"/g, '')
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesUnder(path) : [path]
  })
}
