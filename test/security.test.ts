// SECURITY.md promises nothing without a test: every row of its tables names the guards that the promise rests on, each
// of which is a place of the source with a test that fails without it (scripts/check-guards.mjs), or names tests.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readGuards } from '../scripts/guards.mjs'
import { testTitles } from '../scripts/test-titles.mjs'

const { guards } = readGuards()
const sections = readFileSync('SECURITY.md', 'utf8').split(/^## /m)
const rowsOf = (title: string): string[][] =>
  (sections.find((text) => text.startsWith(`${title}\n`)) ?? '')
    .split('\n').filter((line) => line.startsWith('| ')).slice(1).map((line) => line.slice(2, -2).split(' | '))

t.test('every protection has existing guards', async (t) => {
  const rows = rowsOf('What protects what')
  t.ok(rows.length > 20, `${rows.length} rows`)
  for (const [threat = '', protection = '', named = '', ...more] of rows) {
    t.ok(threat && protection && named && more.length === 0, threat)
    for (const name of named.split(', ')) t.ok(guards.has(/^`([^`]+)`$/.exec(name)?.[1] ?? ''), `${threat}: ${name}`)
  }
})

t.test('every known limit is shown by an existing test', async (t) => {
  const rows = rowsOf('Known limits of this version')
  t.ok(rows.length > 8, `${rows.length} rows`)
  for (const [limit = '', shown = '', ...more] of rows) {
    t.ok(limit && shown && more.length === 0, limit)
    if (shown.startsWith('not shown: ')) continue
    const [, file = '', title = ''] = /^`([^`]+)` › (.+)$/.exec(shown) ?? []
    t.ok(
      file && testTitles(readFileSync(file, 'utf8')).some((path) => path.join(' › ') === title),
      `${limit}: ${shown}`,
    )
  }
})
