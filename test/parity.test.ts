// docs/parity.md: every sentence has its row, every row a test that exists, and the cells of proof and guard are those
// of the markers (GATEHOUSE_WRITE_DOCS=1 writes them). Whether the tests fail without the guards:
// scripts/check-guards.mjs.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readGuards } from '../scripts/guards.mjs'
import { testTitles } from '../scripts/test-titles.mjs'
import { guardNames, readGuardRows, withCells } from './helpers/guard-rows.js'

/** Number -> letters of its rows; without letters it is one row. */
const SENTENCES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  step: { 1: '', 2: 'ab', 3: 'abc', 4: 'abcde', 5: 'abcde', 6: 'abc', 7: 'ab', 8: 'ab', 9: '', 10: 'abc', 11: '' },
  around: { 1: '', 2: '', 3: '', 4: '', 5: '', 6: '' },
  map: { 0: '', 1: 'abc', 2: 'ab', 3: 'ab', 4: '', 5: '', 6: 'abcde', 7: 'abcd', 8: 'ab', 9: 'ab' },
  trap: {
    1: 'abcde',
    2: 'ab',
    3: '',
    4: 'ab',
    5: 'abcde',
    6: 'ab',
    7: 'abc',
    8: '',
    9: 'ab',
    10: 'abc',
    11: 'abc',
    12: '',
    13: 'abcdef',
    14: 'ab',
    15: 'ab',
    16: 'abcde',
    17: '',
    18: 'ab',
    19: '',
    20: 'ab',
    21: 'ab',
    22: '',
    23: 'ab',
    24: '',
    25: '',
    26: '',
    27: '',
    28: 'ab',
    29: '',
  },
  netbox: { 1: '', 2: '', 3: 'abcdef', 4: 'abcde', 5: '', 6: '', 7: 'abc', 8: 'ab', 9: '' },
}

const PAGE = 'docs/parity.md'
const { guards } = readGuards()
const code = (text = '') => /^`([^`]+)`$/.exec(text)?.[1] ?? `not in backticks: ${text}`
const rows = readGuardRows(PAGE, guards).filter((line) => line.startsWith('| `')).map((line) => {
  const [id, netbox, gatehouse, proof = '', guard = '', ...more] = line.slice(1, -1).split('|').map((cell) =>
    cell.trim()
  )
  return {
    line,
    id: code(id),
    netbox,
    gatehouse,
    proofs: proof.split('<br>'),
    guards: guard === '' ? [] : guard.split('<br>'),
    more,
    documented: proof.startsWith('documentation:'),
  }
})
const isGuarded = ({ documented }: { documented: boolean }) => !documented

t.test('every sentence has one row', async (t) => {
  const due = Object.entries(SENTENCES).flatMap(([kind, numbers]) =>
    Object.entries(numbers).flatMap(([number, letters]) =>
      letters === '' ? [`${kind}-${number}`] : [...letters].map((letter) => `${kind}-${number}${letter}`)
    )
  )
  t.strictSame(rows.map(({ id }) => id), due)
  for (const { id, netbox, gatehouse, more } of rows) {
    t.ok(netbox && gatehouse && more.length === 0, `${id} says what NetBox does and what Gatehouse does`)
  }
})

t.test('every proof is an existing test', async (t) => {
  const titles = new Map<string, string[]>()
  const titlesIn = (file: string): string[] => {
    const known = titles.get(file) ?? testTitles(readFileSync(file, 'utf8')).map((path) => path.join(' › '))
    titles.set(file, known)
    return known
  }
  for (const { id, proofs } of rows.filter(isGuarded)) {
    for (const proof of proofs) {
      const [file, ...path] = proof.split(' › ')
      if (!existsSync(code(file))) t.fail(`${id}: there is no ${file}`)
      else t.equal(titlesIn(code(file)).filter((each) => each === path.join(' › ')).length, 1, `${id}: ${proof}`)
    }
  }
})

/** The beginnings of guards that no row of the parity page has. */
const ELSEWHERE = [
  'token',
  'adv',
  'security',
  'live',
  'admin',
  'act',
  'seal',
  'sync',
  'delta',
  'migrate',
  'record',
  'outbox',
  'lost',
  'trace',
  'workers',
  'embedded',
  'doctor',
  'policy',
  'list',
  'audit',
  'review',
]

t.test('proof and guard of every row are those of the markers', async (t) => {
  for (const { id, line, guards: named } of rows.filter(isGuarded)) {
    const unknown = guardNames(named.join('<br>')).filter((name) => !guards.has(name))
    t.strictSame(unknown, [], `${id}: guards that exist`)
    t.equal(line, withCells(line, guards), `${id}: GATEHOUSE_WRITE_DOCS=1 node scripts/test.mjs test/parity.test.ts`)
    t.ok(named.length > 0 && guardNames(named.join('<br>')).length === named.length, `${id}: names guards`)
  }
  const named = new Set(rows.flatMap((row) => guardNames(row.guards.join('<br>'))))
  t.strictSame(
    [...guards.keys()].filter((name) =>
      !named.has(name) &&
      !ELSEWHERE.some((beginning) => name.startsWith(`${beginning}-`))
    ),
    [],
    'every guard is in a row, but for those of the id token, of docs/advisories.md, of SECURITY.md, of what is ' +
      'answered from memory, of the re-evaluation, of migrations, of failover, of traces, of workers, of the ' +
      'console, of lists, of the seals and months of the record, of the embedded server, of doctor, of the policy ' +
      'and of access reviews',
  )
})

t.test('rows without a proof are documented and have no guard', async (t) => {
  for (const { id, proofs: [proof = ''], guards: named } of rows.filter(({ documented }) => documented)) {
    const [, target = '', anchor = ''] = /^documentation: \[[^\]]+\]\(([^)#]+)#([^)]+)\)$/.exec(proof) ?? []
    t.strictSame(named, [], id)
    t.ok(anchorsOf(join(dirname(PAGE), target)).includes(anchor), `${id}: ${proof}`)
  }
})

t.test('titles are found as the compiler reads them', async (t) => {
  const source =
    "t.test('a', { x: 1 }, async (t) => {\n  await t.test(`b`, async () => {})\n  for (const n of [1]) t.test(`c " +
    // eslint-disable-next-line no-template-curly-in-string -- source text
    "${n}`, (t) => t.test('d', () => {}))\n  test('e', f)\n  // t.test('f', () => {})\n  /x/.test('g')\n})"
  // eslint-disable-next-line no-template-curly-in-string -- source text
  t.strictSame(testTitles(source), [['a'], ['a', 'b'], ['a', 'c ${n}', 'd'], ['a', 'e']])
})

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  if (!existsSync(file)) return []
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-')
  )
}
