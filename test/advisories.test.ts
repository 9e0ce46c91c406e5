// docs/advisories.md: every row names a guard and the test that fails without it, as the markers have them
// (GATEHOUSE_WRITE_DOCS=1 writes the cells).
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readGuards } from '../scripts/guards.mjs'
import { testTitles } from '../scripts/test-titles.mjs'
import { guardNames, readGuardRows } from './helpers/guard-rows.js'

const WRITE = 'GATEHOUSE_WRITE_DOCS=1 node scripts/test.mjs test/advisories.test.ts'

const { guards } = readGuards()
const rows = readGuardRows('docs/advisories.md', guards).filter((line) => /^\| (?!advisories \||---)/.test(line))
  .map((line) => line.slice(2, -2).split(' | '))

t.test('every row has its advisories, an existing test, and the guard that makes this test fail', async (t) => {
  t.ok(rows.length > 30, `${rows.length} rows`)
  for (const [advisories = '', says = '', proof = '', guardText = '', ...more] of rows) {
    const guard = guards.get(guardNames(guardText)[0] ?? '')
    t.ok(advisories && says && more.length === 0, proof)
    t.equal(guardText, `\`${guard?.name}\` in \`${guard?.file}\``, WRITE)
    t.equal(proof, `\`${guard?.test}\` › ${guard?.titles.join(' › ')}`, WRITE)
    t.equal(
      testTitles(readFileSync(guard?.test ?? '', 'utf8')).filter((path) =>
        path.join(' › ') === guard?.titles.join(' › ')
      ).length,
      1,
      proof,
    )
  }
})

t.test('every guard of an advisory has a row', async (t) => {
  const named = new Set(rows.flatMap(([, , , guard]) => guardNames(guard)))
  t.strictSame([...guards.keys()].filter((name) => name.startsWith('adv-') && !named.has(name)), [])
})
