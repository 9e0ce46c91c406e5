// docs/advisories.md cannot rot: every row names a test that is there and the guard that it stands on.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readGuards } from './helpers/guards.js'
import { testTitles } from './helpers/test-titles.js'

const guards = readGuards()
const rows = readFileSync('docs/advisories.md', 'utf8').split('\n').filter((line) =>
  line.startsWith('| ') && line.includes(' › ')
).map((line) => line.slice(2, -2).split(' | '))

t.test('every row has its advisories, a test that is there, and the guard without which that test fails', async (t) => {
  t.ok(rows.length > 30, `${rows.length} rows`)
  for (const [advisories = '', says = '', proof = '', guardText = '', ...more] of rows) {
    const guard = guards.get(/^`([^`]+)` in /.exec(guardText)?.[1] ?? '')
    t.ok(advisories && says && more.length === 0, proof)
    t.equal(guardText, `\`${guard?.name}\` in \`${guard?.file}\``)
    t.equal(proof, `\`${guard?.test}\` › ${guard?.titles.join(' › ')}`)
    t.equal(
      testTitles(readFileSync(guard?.test ?? '', 'utf8')).filter((path) =>
        path.join(' › ') === guard?.titles.join(' › ')
      ).length,
      1,
      proof,
    )
  }
})

t.test('every guard of an advisory has its row', async (t) => {
  const named = new Set(rows.map(([, , , guard = '']) => /^`([^`]+)`/.exec(guard)?.[1]))
  t.strictSame([...guards.keys()].filter((name) => name.startsWith('adv-') && !named.has(name)), [])
})
